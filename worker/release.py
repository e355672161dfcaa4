"""How a job goes back to the queue: why, for how long, and what it waits for there (docs/adr/0009-parking.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared import backoff, log
from shared.errors import NoRoomYet
from shared.gate_inspector import GateInspector
from shared.job import IncompleteReason, WaitReason
from shared.pool import Pool
from shared.queue import Conclusion
from shared.redis_client import until_reachable
from shared.turn import Transcript
from worker.agent_loop import stopped_short
from worker.budget import Limit, OutOfBudget
from worker.mcp.errors import ServerAway
from worker.provider import ProviderBusy, ProviderError

logger = log.get(__name__)

_BASE_SECONDS, _CAP_SECONDS = 5.0, 30.0
"""How long a job is parked of which nobody can say when it may pass: the longer the more often."""
_BEHIND_SECONDS = 60.0
"""Over how much time those come back that are not the first, unless they are woken."""
_SPREAD = 0.2
"""Over how much of a pause those come back that wait for room, but no longer than the others."""
_LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Release:
    """The job goes back to the queue, for `delay_seconds`.

    With a `pool` it waits for that pool's provider, as `Queue.release` says: only the first of all that do comes back
    after `delay_seconds`, the others after `behind_seconds`.
    """

    reason: WaitReason
    delay_seconds: float = 0
    pool: str = ""
    behind_seconds: float = 0


class Waiting(Protocol):
    """What is asked of an attempt: `worker.attempt.Attempt`."""

    @property
    def pools(self) -> Mapping[str, Pool]: ...
    @property
    def parks(self) -> int: ...
    def seconds_left(self) -> float | None: ...


def within(attempt: Waiting, delay: float) -> float:
    """No pause outlasts what the job has left: it is then ended with what it has, on time."""
    left = attempt.seconds_left()
    return delay if left is None else min(delay, left)


def without_room(error: NoRoomYet, attempt: Waiting) -> Release:
    """The gate has no room: the job comes back when it says that there will be some."""
    if error.outage:
        return _until_tried(error.pool, error.seconds, attempt)
    return _parked(WaitReason.RATE_LIMIT, max(error.seconds, _growing(attempt)), attempt)


def without_money(error: OutOfBudget, attempt: Waiting, transcript: Transcript) -> Release | Conclusion:
    """What is left pays for no other call. A job that may live to see more waits for it; the others end now, with what
    they have, since waiting would not help them."""
    left = attempt.seconds_left()
    if error.in_flight:
        return _parked(WaitReason.TENANT_BUDGET, _growing(attempt), attempt)
    if error.wait is None or (left is not None and left <= error.wait + _BEHIND_SECONDS):
        return stopped_short(transcript, Limit(IncompleteReason.BUDGET_EXCEEDED, str(error)))
    logger.info("job_parked", reason=WaitReason.TENANT_BUDGET, seconds=round(error.wait, 1))
    return Release(
        WaitReason.TENANT_BUDGET, error.wait + backoff.full_jitter(1, base=_BEHIND_SECONDS, cap=_BEHIND_SECONDS)
    )


def without_tools(error: ServerAway, attempt: Waiting, transcript: Transcript) -> Release | Conclusion:
    """A server whose tools the agent needs is away: the job comes back a little later, as long as it has time left."""
    if attempt.seconds_left() == 0:
        return stopped_short(transcript, Limit(IncompleteReason.DEADLINE_EXCEEDED, f"Its time was up. {error}"))
    return _parked(WaitReason.TOOL_SERVER, _growing(attempt), attempt)


async def without_answer(error: ProviderError, attempt: Waiting, gate: GateInspector) -> Release:
    """Its attempts are used up: an outage only makes it wait, and no try is burnt."""
    logger.info("provider_failed", error=error.type, request_id=error.request_id)
    asked = min(error.retry_after or 0, _LONGEST_SECONDS)
    if isinstance(error, ProviderBusy) and error.retry_after is not None:
        return _parked(WaitReason.RATE_LIMIT, max(asked, _growing(attempt)), attempt)
    seen = await until_reachable(lambda: gate.look(attempt.pools[error.pool]))
    if seen["breaker"] != "closed":
        return _until_tried(error.pool, max(asked, seen["shut_ms"] / 1000), attempt)
    return _parked(WaitReason.PROVIDER_OUTAGE, max(asked, _growing(attempt)), attempt)


def _until_tried(pool: str, seconds: float, attempt: Waiting) -> Release:
    """Nobody may call until then, and then one. With nothing to wait for, one is trying just now."""
    first = within(attempt, seconds or _BASE_SECONDS)
    behind = within(attempt, first + backoff.full_jitter(1, base=_BEHIND_SECONDS, cap=_BEHIND_SECONDS))
    logger.info("job_parked", reason=WaitReason.PROVIDER_OUTAGE, seconds=round(first, 1))
    return Release(WaitReason.PROVIDER_OUTAGE, first, pool, behind)


def _parked(reason: WaitReason, seconds: float, attempt: Waiting) -> Release:
    delay = within(attempt, backoff.spread(seconds, by=min(_SPREAD, _BEHIND_SECONDS / seconds)))
    logger.info("job_parked", reason=reason, seconds=round(delay, 1))
    return Release(reason, delay)


def _growing(attempt: Waiting) -> float:
    return backoff.exponential(attempt.parks + 1, base=_BASE_SECONDS, cap=_CAP_SECONDS)
