"""`/v1/queue`: how the queue stands."""

from fastapi import APIRouter

from api.access import ObserverOf
from api.documents import answer, errors
from api.operation_schemas import QueueState, TenantResource, WaitReasonsResource
from api.parts import Parts, PartsOf
from api.strict_route import StrictRoute
from shared import clock
from shared.job import WaitReason
from shared.overview import Standing, day_ends_ms
from shared.sections import Tenant
from shared.usage import NANO, dollars

router = APIRouter(prefix="/v1/queue", tags=["operations"], route_class=StrictRoute)


@router.get(
    "",
    operation_id="read_queue",
    responses=errors() | {200: answer("How it stands.", "queue")},
    summary="Read the queue",
)
async def read_queue(parts: PartsOf, caller: ObserverOf) -> QueueState:
    """What waits and why, what runs, how fast it moves; and how your tenant stands in it."""
    view = await parts.overview.queue()
    wait = view.pace.wait_seconds(view.whole.waiting - view.parked)
    shown = sorted({*view.tenants, *parts.settings.tenants, caller.tenant}) if caller.sees_all else [caller.tenant]
    return QueueState(
        object="queue",
        depth=view.whole.waiting,
        max_depth=parts.settings.queue.max_depth,
        wait_reasons=_reasons(view.whole),
        parked=view.parked,
        oldest_waiting_seconds=_seconds(view.whole.oldest_ms),
        running=view.whole.running,
        requires_action=view.whole.requires_action,
        slots=view.pace.slots,
        drain_rate_per_second=round(view.pace.drain_rate, 3),
        expected_wait_seconds=None if wait is None else round(wait, 1),
        day_ends_at=clock.rfc3339(day_ends_ms(view.pace)) or "",
        tenants=[_tenant(parts, name, view.tenants.get(name, Standing())) for name in shown],
    )


def _tenant(parts: Parts, name: str, standing: Standing) -> TenantResource:
    may = parts.settings.tenants.get(name, Tenant())
    return TenantResource(
        tenant=name,
        weight=may.weight,
        waiting=standing.waiting,
        max_waiting=may.max_waiting,
        wait_reasons=_reasons(standing),
        oldest_waiting_seconds=_seconds(standing.oldest_ms),
        running=standing.running,
        max_running=may.max_running,
        requires_action=standing.requires_action,
        submits_per_minute=may.submits_per_minute,
        spent_today_usd=dollars(standing.spent_nano),
        daily_cost_usd=None if may.daily_cost_usd is None else dollars(int(may.daily_cost_usd * NANO)),
    )


def _reasons(standing: Standing) -> WaitReasonsResource:
    """All that wait for no other reason wait for a slot."""
    others = {reason.value: standing.wait_reasons.get(reason, 0) for reason in WaitReason}
    others[WaitReason.CAPACITY] = standing.waiting - sum(standing.wait_reasons.values())
    return WaitReasonsResource(**others)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1000, 1)
