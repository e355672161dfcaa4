"""Reads: jobs, lists of jobs and the state of the queue. Nothing here changes anything that matters."""

from dataclasses import dataclass

from shared import ids, keys
from shared.job import Job, readable
from shared.journal import from_json
from shared.message import Message
from shared.pace import Pace, Place
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.states import Status
from shared.turn import Record

_PAGE = 200
_MOST_PAGES = 25
"""How much of a tenant's history one request may look through for jobs that match."""
_CLOCK_SKEW_MS = 300_000
"""How far the clocks of two api hosts may differ before a list by time misses a job."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job with its place in the queue, None when it does not wait."""

    job: Job
    place: Place | None
    pace: Pace


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of a tenant are wanted; None is any. Times in milliseconds, both bounds exclusive."""

    status: Status | None = None
    agent: str | None = None
    session_id: str | None = None
    created_after: int | None = None
    created_before: int | None = None

    def matches(self, job: Job) -> bool:
        return (
            (self.status is None or job.status == self.status)
            and (self.agent is None or job.spec.agent == self.agent)
            and (self.session_id is None or job.spec.session_id == self.session_id)
            and (self.created_after is None or job.created_ms > self.created_after)
            and (self.created_before is None or job.created_ms < self.created_before)
        )


@dataclass(frozen=True, slots=True)
class JobPage:
    """`edge` is the last id looked at, when the search was given up before it had found enough: go on from there."""

    jobs: list[Job]
    has_more: bool
    edge: str | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """What a job has done so far, oldest first, and how it stood then."""

    status: Status
    revision: int
    records: list[Record]
    unheard: list[Message]
    """What was said to it meanwhile."""
    inherited: int = 0
    """How many of the records are of the job that it was forked from, which has paid for them."""


class Inspector:
    """All methods raise StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def pace(self) -> Pace:
        return Pace.read(await script("job_queue_state")(self._redis, {}))

    async def job(self, job_id: str, *, tenant: str) -> Sighting | None:
        """A job of this tenant; None for one there is not, another tenant's included."""
        answer = await script("job_read")(self._redis, {}, {"id": job_id, "tenant": tenant})
        record, ahead, behind, running, cap, *pace = answer
        if not record:
            return None
        job = Job.from_hash(job_id, dict(zip(record[::2], record[1::2], strict=True)))
        return Sighting(job, Place(ahead, running, cap or None, behind) if ahead >= 0 else None, Pace.read(pace))

    async def journal(self, job_id: str, *, tenant: str) -> Journal | None:
        """That of a job of this tenant; None for one there is not, another tenant's included."""
        match await script("job_turns")(self._redis, {}, {"id": job_id, "tenant": tenant}):
            case [status, revision, lines, unheard, inherited]:
                records = [from_json(line) for line in lines]
                messages = [Message.from_json(one) for one in unheard]
                return Journal(Status(status), int(revision), records, messages, int(inherited))
        return None

    async def jobs(
        self,
        tenant: str,
        wanted: JobFilter,
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
    ) -> JobPage:
        """A tenant's jobs, newest first: those older than the job `after`, or those newer than the job `before`."""
        newest_first = before is None
        read = self._older if newest_first else self._newer
        high = f"({after}" if after else _bound(wanted.created_before, _CLOCK_SKEW_MS, "+")
        low = f"({before}" if before else _bound(wanted.created_after, -_CLOCK_SKEW_MS, "-")
        found: list[Job] = []
        edge: str | None = None
        for _ in range(_MOST_PAGES):
            page, edge = await read(tenant, low, high)
            found += [job for job in page if wanted.matches(job)]
            if edge is None or len(found) > limit:
                break
            low, high = (low, f"({edge}") if newest_first else (f"({edge}", high)
        kept, enough = found[:limit], len(found) > limit
        return JobPage(kept if newest_first else kept[::-1], enough or edge is not None, None if enough else edge)

    async def _older(self, tenant: str, low: str, high: str) -> tuple[list[Job], str | None]:
        async with reachable():
            page = await self._redis.zrevrangebylex(keys.tenant_jobs(tenant), high, low, 0, _PAGE)
        return await self._records(tenant, page)

    async def _newer(self, tenant: str, low: str, high: str) -> tuple[list[Job], str | None]:
        async with reachable():
            page = await self._redis.zrangebylex(keys.tenant_jobs(tenant), low, high, 0, _PAGE)
        return await self._records(tenant, page)

    async def _records(self, tenant: str, page: list[str]) -> tuple[list[Job], str | None]:
        """The jobs of these ids, and the last id when there may be more. Ids whose job has expired are dropped."""
        if not page:
            return [], None
        async with reachable():
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in page:
                    pipe.hgetall(keys.job(job_id))
                records = await pipe.execute()
            gone = [job_id for job_id, record in zip(page, records, strict=True) if not record]
            await self._add_actions(page, records)
            if gone:
                await self._redis.zrem(keys.tenant_jobs(tenant), *gone)
        read = [readable(job_id, record) for job_id, record in zip(page, records, strict=True) if record]
        return [job for job in read if job], page[-1] if len(page) == _PAGE else None

    async def _add_actions(self, page: list[str], records: list[dict[str, str]]) -> None:
        """What jobs wait for a person to decide, as `job_read.lua` has it."""
        waiting = [(job_id, record) for job_id, record in zip(page, records, strict=True) if record.get("asks")]
        if not waiting:
            return
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id, record in waiting:
                pipe.hmget(keys.actions(job_id), record["asks"].split())
            for (_, record), asked in zip(waiting, await pipe.execute(), strict=True):
                record["actions"] = f"[{','.join(filter(None, asked))}]"


def _bound(milliseconds: int | None, slack: int, otherwise: str) -> str:
    return otherwise if milliseconds is None else f"[{ids.job_id_at(milliseconds + slack)}"
