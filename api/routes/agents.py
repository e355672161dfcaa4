"""`/v1/agents`: what can be asked for."""

from fastapi import APIRouter

from api.access import ObserverOf
from api.agent_schemas import AgentList, AgentResource
from api.documents import errors
from api.parts import PartsOf
from api.schemas import BudgetResource
from api.strict_route import StrictRoute

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=StrictRoute)


@router.get("", responses=errors(401, 403, 422, 503), summary="List agents")
async def list_agents(parts: PartsOf, caller: ObserverOf) -> AgentList:
    """The agents that workers have announced."""
    agents = [
        AgentResource(
            name=entry.name,
            version=entry.version,
            description=entry.description,
            model=entry.chain,
            tools=entry.tools,
            budget=BudgetResource(**entry.budget),
        )
        for entry in await parts.directory.all()
    ]
    return AgentList(object="list", data=agents)
