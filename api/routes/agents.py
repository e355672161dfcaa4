"""`/v1/agents`: what can be asked for."""

from fastapi import APIRouter

from api.access import ObserverOf
from api.agent_schemas import AgentList, agent_resource
from api.documents import errors
from api.parts import PartsOf
from api.strict_route import StrictRoute

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=StrictRoute)


@router.get("", responses=errors(401, 403, 422, 503), summary="List agents")
async def list_agents(parts: PartsOf, caller: ObserverOf) -> AgentList:
    """The agents that workers have announced: what each takes, what it may do and what it may use."""
    return AgentList(object="list", data=[agent_resource(entry) for entry in await parts.directory.all()])
