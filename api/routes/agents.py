"""`/v1/agents`: what can be asked for."""

from fastapi import APIRouter

from api import schemas
from api.documents import errors
from api.parts import PartsOf, TenantOf

router = APIRouter(prefix="/v1/agents", tags=["agents"])


@router.get("", responses=errors(401, 503), summary="List agents")
async def list_agents(parts: PartsOf, tenant: TenantOf) -> schemas.AgentList:
    """The agents that workers have announced."""
    agents = [
        schemas.AgentResource(
            name=entry.name,
            version=entry.version,
            description=entry.description,
            model=entry.chain,
            tools=entry.tools,
            budget=schemas.BudgetResource(**entry.budget),
        )
        for entry in await parts.directory.all()
    ]
    return schemas.AgentList(object="list", data=agents)
