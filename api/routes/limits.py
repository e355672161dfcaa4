"""`/v1/limits`: what the gate knows of the providers' limits."""

from typing import Any

from fastapi import APIRouter

from api.documents import errors
from api.limit_schemas import BucketResource, LimitList, LimitResource, WaitingResource
from api.parts import PartsOf, TenantOf
from shared import clock
from shared.pool import Pool

router = APIRouter(prefix="/v1/limits", tags=["limits"])


@router.get("", responses=errors(401, 503), summary="List limits")
async def list_limits(parts: PartsOf, tenant: TenantOf) -> LimitList:
    """Per quota pool: what the provider allows, what is left, who waits, and whether calls pass at all."""
    pools = [_resource(pool, targets, await parts.gate_inspector.look(pool)) for pool, targets in parts.pools.values()]
    return LimitList(object="list", data=pools)


def _resource(pool: Pool, targets: list[str], seen: dict[str, Any]) -> LimitResource:
    configured = {"requests": pool.limits.requests, "input": pool.limits.input, "output": pool.limits.output}
    shut_ms = max(seen["away_ms"], seen["open_ms"] if seen["breaker"] == "open" else 0)
    return LimitResource(
        pool=pool.name,
        targets=targets,
        **{
            name if name == "requests" else f"{name}_tokens": BucketResource(
                limit_per_minute=round(seen[name]["limit"]),
                remaining=round(seen[name]["level"]),
                learned=seen[name]["limit"] != limit,
            )
            for name, limit in configured.items()
        },
        in_flight=seen["in_flight"],
        max_in_flight=seen["window"],
        waiting=WaitingResource(**seen["waiting"]),
        breaker=seen["breaker"],
        retry_at=clock.rfc3339(round(seen["now_ms"] + shut_ms)) if shut_ms else None,
        pace=round(seen["pace"], 3),
        refused=seen["refused"],
        failures=seen["failures"],
    )
