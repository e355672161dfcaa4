"""When a job may start, and until when: later, at a time, not after its time to live."""

from typing import Any

import pytest

from shared import keys
from shared.inspector import Inspector
from shared.job import Priority, Schedule, WaitReason
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event, Status
from tests.shared.queueing import LEASE_MS, claim, claimed, submitted, sweep
from tests.waiting import until

FAR_MS = 4_000_000_000_000


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def status(redis: Redis, job_id: str) -> str:
    return str(await redis.hget(keys.job(job_id), "status"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("schedule", [Schedule(run_at_ms=FAR_MS), Schedule(delay_ms=3_600_000)])
async def test_a_job_for_later_is_not_taken_now_and_says_when_it_is(
    redis: Redis, queue: Queue, schedule: Schedule
) -> None:
    later = await submitted(queue, priority=Priority.HIGH, schedule=schedule)
    now = await submitted(queue)

    assert await claimed(queue, "a", 10) == [now]
    sighting = await Inspector(redis).job(later, tenant="default")
    assert sighting is not None
    assert sighting.job.wait_reason == WaitReason.SCHEDULED
    due_ms = schedule.run_at_ms or sighting.job.created_ms + (schedule.delay_ms or 0)
    assert sighting.job.next_attempt_ms == due_ms


async def test_a_time_that_is_past_is_now(queue: Queue) -> None:
    job_id = await submitted(queue, schedule=Schedule(run_at_ms=1))

    assert await claimed(queue, "a") == [job_id]


async def test_the_watch_is_told_when_the_next_job_is_due(redis: Any, queue: Queue) -> None:
    await sweep(redis)
    async with redis.pubsub(ignore_subscribe_messages=True) as ear:
        await ear.subscribe(keys.CONTROL + "watch")
        await ear.get_message(timeout=5)
        await submitted(queue, schedule=Schedule(delay_ms=900))
        await submitted(queue, schedule=Schedule(delay_ms=400))

        told = [(await ear.get_message(timeout=5))["data"] for _ in range(2)]

    assert told == ["due 900", "due 400"]
    due = (await sweep(redis)).due
    assert due is not None
    assert 0 < due <= 0.4


async def test_a_job_for_later_runs_when_its_time_has_come(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue, schedule=Schedule(delay_ms=50))

    async def taken() -> bool:
        await sweep(redis)
        return await claimed(queue, "a") == [job_id]

    await until(taken)


async def test_a_job_that_has_not_started_in_time_expires(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue, schedule=Schedule(ttl_ms=30))

    async def expired() -> bool:
        await sweep(redis)
        return await status(redis, job_id) == Status.EXPIRED

    await until(expired)
    assert await claimed(queue, "a") == []
    assert await queue.cancel(job_id) == Status.EXPIRED


async def test_a_job_whose_time_has_passed_is_not_taken_though_nobody_has_ended_it_yet(
    redis: Redis, queue: Queue
) -> None:
    job_id = await submitted(queue, schedule=Schedule(ttl_ms=30))
    expires_ms = int(await redis.hget(keys.job(job_id), "expires_ms"))  # type: ignore[attr-defined]

    async def passed() -> bool:
        return (await redis.time())[0] * 1000 > expires_ms + 1000  # type: ignore[attr-defined]

    await until(passed)
    assert await claimed(queue, "a") == []
    await sweep(redis)
    assert await status(redis, job_id) == Status.EXPIRED


async def test_a_job_that_has_started_in_time_does_not_expire(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue, schedule=Schedule(ttl_ms=3_600_000, deadline_ms=FAR_MS))
    assert await redis.zcard(keys.EXPIRING) == 1  # type: ignore[attr-defined]
    await claimed(queue, "a")
    await queue.release("a", job_id, WaitReason.CAPACITY)

    assert await redis.zcard(keys.EXPIRING) == 0  # type: ignore[attr-defined]
    assert await claimed(queue, "a") == [job_id]


async def test_of_time_to_live_and_deadline_the_earlier_counts(redis: Redis, queue: Queue) -> None:
    by_ttl = await submitted(queue, schedule=Schedule(ttl_ms=1000, deadline_ms=FAR_MS))
    by_deadline = await submitted(queue, schedule=Schedule(ttl_ms=FAR_MS, deadline_ms=FAR_MS))

    created_ms = int(await redis.hget(keys.job(by_ttl), "created_ms"))  # type: ignore[attr-defined]
    assert int(await redis.hget(keys.job(by_ttl), "expires_ms")) == created_ms + 1000  # type: ignore[attr-defined]
    assert int(await redis.hget(keys.job(by_deadline), "expires_ms")) == FAR_MS  # type: ignore[attr-defined]


async def test_a_failure_is_counted_apart_from_crashes_and_parks(queue: Queue) -> None:
    job_id = await submitted(queue)
    for reason in (WaitReason.RETRY_BACKOFF, WaitReason.PROVIDER_OUTAGE, WaitReason.CAPACITY, WaitReason.RETRY_BACKOFF):
        await claimed(queue, "a")
        await queue.release("a", job_id, reason)

    (job,) = (await claim(queue, "a")).jobs
    assert (job.failures, job.parks, job.crashes, job.attempt) == (2, 1, 0, 3)


async def test_a_finished_job_is_kept_for_its_retention_and_not_longer(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "a")
    await queue.finish("a", job_id, Conclusion(Event.SUCCEED, output="done"))

    for key in (keys.job(job_id), keys.ARQ_RESULT + job_id):
        assert 0 < await redis.pttl(key) <= LEASE_MS  # type: ignore[attr-defined]
    assert 0 < await redis.pttl(keys.tenant_jobs("default")) <= 86_400_000  # type: ignore[attr-defined]
    await submitted(queue)
    assert await redis.pttl(keys.tenant_jobs("default")) == -1, "an unfinished job stays listed"  # type: ignore[attr-defined]
