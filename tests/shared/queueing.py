"""Jobs moved by hand, for tests of the queue."""

import itertools
from typing import Any

from shared import clock, ids, keys
from shared.action import ActionKind, Asked
from shared.fleet import Fleet, Look
from shared.job import Budget, JobSpec, Priority, Schedule
from shared.queue import Claim, Queue
from shared.submission import Accepted, Caps

LEASE_MS = 60_000
RETENTION_MS = 60_000
_tickets = itertools.count(1)


def spec(tenant: str = "default", **fields: Any) -> JobSpec:
    return JobSpec(**({"tenant": tenant, "agent": "assistant", "input": "hello", "chain": "default"} | fields))


def asked(job_id: str, kind: ActionKind = ActionKind.APPROVAL, **fields: Any) -> Asked:
    """A question about a call of this job's first turn."""
    about: dict[str, Any] = {
        "agent": "assistant",
        "turn": 1,
        "tool_call_id": f"toolu_{next(_tickets)}",
        "tool": "erase",
        "effect": "irreversible",
        "input": {"what": "all"},
        "input_schema": {"type": "object", "properties": {"what": {"type": "string"}}},
    }
    return Asked(id=ids.new_action_id(), job_id=job_id, kind=kind, **(about | fields))


async def submitted(
    queue: Queue,
    tenant: str = "default",
    *,
    caps: Caps = Caps(),  # noqa: B008  (frozen)
    priority: Priority = Priority.STANDARD,
    schedule: Schedule = Schedule(),  # noqa: B008
    budget: Budget = Budget(),  # noqa: B008
) -> str:
    """The id of a job that is in."""
    asked = spec(tenant, priority=priority, schedule=schedule, budget=budget)
    answer = await queue.submit(ids.new_job_id(), asked, caps=caps)
    assert isinstance(answer, Accepted)
    return answer.job_id


async def claim(queue: Queue, owner: str, wanted: int = 1, suspects: int = 1) -> Claim:
    return await queue.claim(owner, ticket=next(_tickets), wanted=wanted, suspects=suspects)


async def claimed(queue: Queue, owner: str, wanted: int = 1) -> list[str]:
    return [job.id for job in (await claim(queue, owner, wanted)).jobs]


def fleet(redis: Any, owner: str, lease_ms: int = LEASE_MS) -> Fleet:
    """A worker's part in the fleet, as its lease keeper has it."""
    return Fleet(redis, owner, lease_ms=lease_ms, retention_ms=RETENTION_MS)


async def sweep(redis: Any, *, judge: bool = True, lease_ms: int = LEASE_MS) -> Look:
    """What whoever has the watch does."""
    await redis.set(keys.WATCH, "watch", px=10_000)
    look = await fleet(redis, "watch", lease_ms).sweep(judge=judge)
    assert look is not None
    return look


async def fall_silent(redis: Any, *workers: str, seconds: float = 3600) -> None:
    """These workers were last heard of so long ago."""
    for worker in workers:
        await fleet(redis, worker).enlist(10)
        await redis.pexpire(keys.ALIVE + worker, int(clock.DAY_MS - seconds * 1000))


async def die(redis: Any, *workers: str) -> None:
    """These workers have died, and that has been seen."""
    await fall_silent(redis, *workers)
    await sweep(redis)
