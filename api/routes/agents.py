"""`/v1/agents`: what can be asked for."""

from fastapi import APIRouter

from api.access import ObserverOf
from api.agent_schemas import AgentList, agent_resource
from api.documents import answer, errors
from api.parts import PartsOf
from api.strict_route import StrictRoute

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=StrictRoute)


@router.get(
    "",
    operation_id="list_agents",
    responses=errors() | {200: answer("The agents.", "agent_list")},
    summary="List agents",
)
async def list_agents(parts: PartsOf, caller: ObserverOf) -> AgentList:
    """The agents that workers have announced and that you may ask for: what each takes, what it may do and what it may
    use."""
    agents = [
        agent_resource(entry)
        for entry in await parts.directory.all()
        if caller.sees_all or parts.directory.may_ask_for(caller.tenant, entry.name)
    ]
    return AgentList(object="list", data=agents)
