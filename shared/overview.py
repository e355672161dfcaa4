"""The whole as it stands: the queue and who waits in it, the workers and what they run, what tenants have spent."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared import clock, keys
from shared.job import WaitReason
from shared.pace import Pace
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.states import Status

MOST_JOBS = 4_000
"""How many running jobs one look at the workers tells of."""
_OF_A_JOB = ("#", *(f"{keys.JOB}*->{name}" for name in ("tenant", "status", "claimed_ms")))
_SILENT_MS = 15_000
"""An idle worker gives a sign of life every few seconds."""


@dataclass(slots=True)
class Standing:
    """Of a tenant, or of all together: jobs by what they do, and nano-dollars of today (UTC).

    `wait_reasons` holds those other than capacity. `oldest_ms` is how long the longest has waited that could start now,
    of the three jobs next in turn; None when there is none.
    """

    waiting: int = 0
    running: int = 0
    requires_action: int = 0
    wait_reasons: dict[str, int] = field(default_factory=dict)
    spent_nano: int = 0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class QueueView:
    """`parked` jobs wait for a time or for a provider; `tenants` are those with unfinished jobs or costs of today."""

    pace: Pace
    parked: int
    whole: Standing
    tenants: dict[str, Standing]


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a worker runs. `since_ms` is when it was claimed last, by Redis TIME."""

    id: str
    tenant: str
    status: Status
    since_ms: int


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that lives, or whose death nobody has seen to yet. `silent_ms` is None for one without a sign of life;
    `held` jobs are its own, of which `jobs` may be a part."""

    id: str
    slots: int
    silent_ms: int | None
    has_watch: bool
    held: int
    jobs: list[HeldJob]

    @property
    def alive(self) -> bool:
        return self.silent_ms is not None and self.silent_ms < _SILENT_MS


class Overview:
    """All methods raise StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def queue(self) -> QueueView:
        pace, parked, counts, waits, spent, oldest = await script("queue_read")(self._redis, {})
        standings: dict[str, Standing] = {"": Standing()}
        for name, number in _pairs(counts):
            tenant, _, group = name.partition(":")
            setattr(_of(standings, tenant), "waiting" if group == "queued" else group, int(number))
        for name, number in _pairs(waits):
            tenant, _, reason = name.partition(":")
            if reason != WaitReason.CAPACITY:
                _of(standings, tenant).wait_reasons[reason] = int(number)
        for tenant, nano in _pairs(spent):
            _of(standings, tenant).spent_nano = int(nano)
        now = Pace.read(pace)
        for tenant, since_ms in _pairs(oldest):
            _of(standings, tenant).oldest_ms = now.now_ms - int(since_ms)
        whole = standings.pop("")
        whole.spent_nano = sum(one.spent_nano for one in standings.values())
        whole.oldest_ms = max((one.oldest_ms for one in standings.values() if one.oldest_ms is not None), default=None)
        return QueueView(now, parked, whole, standings)

    async def spent_today(self, tenant: str) -> int:
        """Nano-dollars that the tenant's jobs have cost since midnight (UTC), of turns that are written down."""
        nano: str = await script("tenant_spent")(self._redis, {}, {"tenant": tenant})
        return int(nano)

    async def workers(self) -> list[WorkerView]:
        """In the order of their names; those that are silent and hold nothing are left out."""
        rows = await script("fleet_read")(self._redis, {})
        held = await self._held({name: count for name, *_, count in rows if count})
        found = [
            WorkerView(name, slots, None if silent_ms < 0 else silent_ms, bool(watch), count, held.get(name, []))
            for name, slots, silent_ms, watch, count in rows
        ]
        return [worker for worker in found if worker.alive or worker.held]

    async def _held(self, counts: dict[str, int]) -> dict[str, list[HeldJob]]:
        """What each of these workers holds, as long as it is not too much. Redis does other things in between."""
        left, asked = MOST_JOBS, []
        async with reachable(), self._redis.pipeline(transaction=False) as pipe:
            for worker, count in counts.items():
                if left > 0:
                    pipe.sort(keys.HELD + worker, by="nosort", get=list(_OF_A_JOB), start=0, num=left)
                    asked.append(worker)
                    left -= count
            answers = await pipe.execute() if asked else []
        return {worker: _jobs(flat) for worker, flat in zip(asked, answers, strict=True)}


def day_ends_ms(pace: Pace) -> int:
    """When the day of `Standing.spent_nano` is over, by Redis TIME."""
    return pace.now_ms - pace.now_ms % clock.DAY_MS + clock.DAY_MS


def _of(standings: dict[str, Standing], tenant: str) -> Standing:
    return standings.setdefault(tenant, Standing())


def _pairs(flat: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _jobs(flat: Sequence[str | None]) -> list[HeldJob]:
    """From the answer to SORT. A job without a time was given back while we looked."""
    return [
        HeldJob(job_id, tenant, Status(status), int(since_ms))
        for job_id, tenant, status, since_ms in zip(*(flat[i::4] for i in range(4)), strict=True)
        if job_id and tenant and status and since_ms
    ]
