"""Jobs moved by hand, for tests of the queue."""

from collections.abc import Iterable
from typing import Any

from shared import ids, keys
from shared.job import JobSpec, Priority, Schedule
from shared.queue import Claim, Holder, Queue
from shared.submission import Accepted, Caps

LEASE_MS = 60_000


def holder(owner: str, slots: int = 10) -> Holder:
    return Holder(owner, slots, LEASE_MS)


def spec(tenant: str = "default", **fields: Any) -> JobSpec:
    return JobSpec(**({"tenant": tenant, "agent": "assistant", "input": "hello", "chain": "default"} | fields))


async def submitted(
    queue: Queue,
    tenant: str = "default",
    *,
    caps: Caps = Caps(),  # noqa: B008  (frozen)
    priority: Priority = Priority.STANDARD,
    schedule: Schedule = Schedule(),  # noqa: B008
) -> str:
    """The id of a job that is in."""
    answer = await queue.submit(ids.new_job_id(), spec(tenant, priority=priority, schedule=schedule), caps=caps)
    assert isinstance(answer, Accepted)
    return answer.job_id


async def claim(queue: Queue, owner: str, wanted: int = 1, suspects: int = 1) -> Claim:
    return await queue.claim(holder(owner), wanted=wanted, suspects=suspects)


async def claimed(queue: Queue, owner: str, wanted: int = 1) -> list[str]:
    return [job.id for job in (await claim(queue, owner, wanted)).jobs]


async def let_lapse(redis: Any, job_ids: Iterable[str]) -> None:
    """What the end of a lease does to the store."""
    for job_id in job_ids:
        await redis.zadd(keys.RETURNING, {job_id: 1}, xx=True)
        await redis.delete(keys.ARQ_IN_PROGRESS + job_id)


async def fall_silent(redis: Any, *workers: str) -> None:
    """What the store looks like when these workers have not been heard of for long."""
    for worker in workers:
        await redis.zadd(keys.WORKERS, {worker: 1})
