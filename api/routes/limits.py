"""`/v1/limits`: what the gate knows of the providers' limits."""

from typing import Any

from fastapi import APIRouter

from api.access import ObserverOf
from api.auth import Caller
from api.chain_report import chains
from api.documents import answer, errors
from api.limit_schemas import BucketResource, ExpectedWaitResource, LimitList, LimitResource, WaitingResource
from api.parts import Parts, PartsOf
from api.strict_route import StrictRoute
from shared import clock
from shared.gate_inspector import EVERY_TENANT
from shared.pool import DIMENSIONS, Pool

router = APIRouter(prefix="/v1/limits", tags=["limits"], route_class=StrictRoute)


@router.get(
    "",
    operation_id="list_limits",
    responses=errors() | {200: answer("Pools and chains.", "limit_list")},
    summary="List limits",
)
async def list_limits(parts: PartsOf, caller: ObserverOf) -> LimitList:
    """Per quota pool: what the provider allows, what is left, who waits and for what, and whether calls pass at all.
    Per chain: how its targets do, and whether its fallback could stand in."""
    pools = [
        _resource(pool, targets, await _look(parts, pool, caller), caller) for pool, targets in parts.pools.values()
    ]
    return LimitList(object="list", data=pools, chains=await chains(parts))


async def _look(parts: Parts, pool: Pool, caller: Caller) -> dict[str, Any]:
    return await parts.gate_inspector.look(pool, EVERY_TENANT if caller.sees_all else caller.tenant)


def _resource(pool: Pool, targets: list[str], seen: dict[str, Any], caller: Caller) -> LimitResource:
    waiting, shut_ms = seen["waiting"], seen["shut_ms"]
    return LimitResource(
        pool=pool.name,
        targets=targets,
        **{name: _bucket(seen[field], getattr(pool.limits, field)) for field, name in DIMENSIONS.items()},
        in_flight=seen["in_flight"],
        max_in_flight=seen["window"],
        waiting=WaitingResource(
            total=sum(waiting.values()),
            **waiting,
            tenants=seen["tenants"],
            by_tenant={caller.tenant: 0} | seen["by_tenant"] if caller.sees_all else {caller.tenant: seen["own"]},
        ),
        expected_wait_seconds=ExpectedWaitResource(
            **{priority: round(ms / 1000, 1) for priority, ms in seen["expected_ms"].items()}
        ),
        held_up_by=seen.get("held_up_by"),
        breaker=seen["breaker"],
        retry_at=clock.rfc3339(round(seen["now_ms"] + shut_ms)) if shut_ms else None,
        retry_in_seconds=round(shut_ms / 1000, 1) if shut_ms else None,
        pace=round(seen["pace"], 3),
        answer_tokens_per_second=round(seen["speed"] * 1000, 1) if "speed" in seen else None,
        refused=seen["refused"],
        refused_last_minute=_count(seen["refused_lately"]),
        failures=seen["failures"],
    )


def _bucket(seen: dict[str, Any], configured: int) -> BucketResource:
    return BucketResource(
        limit_per_minute=round(seen["limit"]),
        configured_per_minute=configured,
        learned=seen["learned"],
        capacity=round(seen["capacity"]),
        remaining=round(seen["level"]),
        reserved=_count(seen["reserved"]),
        used_last_minute=_count(seen["used"]),
    )


def _count(number: float) -> int:
    """A correction may belong to what was counted more than a minute ago."""
    return max(0, round(number))
