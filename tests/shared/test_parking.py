"""Parked jobs: one comes back to try the provider, and when it is back they are woken, some at a time."""

from typing import Any

from shared import keys
from shared.job import Job, Priority, WaitReason
from shared.queue import Queue
from shared.redis_client import Redis
from tests.shared.queueing import claim, claimed, submitted, sweep

FIRST_MS, BEHIND_MS = 50_000, 90_000


def queue_of(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def park(queue: Queue, job_id: str, *, owner: str = "a", pool: str = "sonnet", delay_ms: int = FIRST_MS) -> None:
    await queue.release(
        owner, job_id, WaitReason.PROVIDER_OUTAGE, delay_ms=delay_ms, pool=pool, behind_ms=delay_ms + 40_000
    )


async def parked(queue: Queue, count: int, pool: str = "sonnet", **fields: Any) -> list[str]:
    """So many jobs, parked one after the other."""
    jobs = [await submitted(queue, **fields) for _ in range(count)]
    assert await claimed(queue, "a", count) == jobs
    for job_id in jobs:
        await park(queue, job_id, pool=pool)
    return jobs


async def record(redis: Any, job_id: str) -> Job:
    return Job.from_hash(job_id, await redis.hgetall(keys.job(job_id)))


async def pauses(redis: Any, jobs: list[str]) -> list[int]:
    """In how many seconds each job is due, as the job itself says it."""
    now = (await redis.time())[0]
    due = dict(await redis.zrange(keys.RETURNING, 0, -1, withscores=True))
    said = [(await record(redis, job_id)).next_attempt_ms for job_id in jobs]
    assert said == [due[job_id] for job_id in jobs]
    return [round(at / 1000 - now) for at in said if at]


async def test_only_the_first_that_is_parked_comes_back_to_try(redis: Redis) -> None:
    queue = queue_of(redis)
    jobs = await parked(queue, 4)
    elsewhere = await parked(queue, 2, pool="opus")

    assert [round(pause, -1) for pause in await pauses(redis, jobs)] == [50, 90, 90, 90]
    assert [round(pause, -1) for pause in await pauses(redis, elsewhere)] == [50, 90], "each provider is tried"


async def test_when_it_has_failed_again_another_one_comes_first(redis: Any) -> None:
    queue = queue_of(redis)
    first, second = await parked(queue, 2)
    assert 0 < await redis.pttl(keys.CANARY + "sonnet") <= FIRST_MS, "by then it has come, or will not"
    await redis.delete(keys.CANARY + "sonnet")  # the time has come
    await redis.zadd(keys.RETURNING, {second: 1})
    await sweep(redis)
    assert await claimed(queue, "a", 2) == [second]
    await park(queue, second)

    assert [round(pause, -1) for pause in await pauses(redis, [first, second])] == [50, 50]


async def test_some_are_woken_at_a_time_those_first_that_are_first_in_line(redis: Any) -> None:
    queue = queue_of(redis)
    standard, urgent = await parked(queue, 3), await parked(queue, 1, priority=Priority.HIGH)
    before = await record(redis, urgent[0])

    assert await queue.wake("sonnet", 2) == 2

    assert await claimed(queue, "b", 4) == [*urgent, standard[0]]
    after = await record(redis, urgent[0])
    assert before.revision < after.revision - 1, "whoever follows it has heard that it goes on"
    assert await queue.wake("sonnet", 2) == 0
    assert await claimed(queue, "b", 4) == standard[1:]
    assert await queue.wake("sonnet", 2) == 0, "nobody is left"


async def test_a_woken_job_says_that_it_is_due_and_has_lost_nothing(redis: Any) -> None:
    queue = queue_of(redis)
    (job_id,) = await parked(queue, 1)
    await queue.wake("sonnet", 1)

    due = await record(redis, job_id)
    now_ms = (await redis.time())[0] * 1000 + 1000
    assert due.next_attempt_ms is not None
    assert due.next_attempt_ms <= now_ms
    (job,) = (await claim(queue, "b")).jobs
    assert (job.attempt, job.parks, job.failures) == (1, 1, 0)


async def test_an_idle_worker_is_woken(redis: Any) -> None:
    queue = queue_of(redis)
    await parked(queue, 3)
    await redis.delete(keys.WAKE)
    await queue.wake("sonnet", 1)
    assert await redis.llen(keys.WAKE) == 1


async def test_who_has_come_back_before_or_waits_for_something_else_is_left_alone(redis: Any) -> None:
    queue = queue_of(redis)
    running, failing, ended, waiting = await parked(queue, 4)
    for job_id in (running, failing, ended):
        await redis.zadd(keys.RETURNING, {job_id: 1})
    await sweep(redis)
    assert await claimed(queue, "b", 3) == [running, failing, ended]
    await queue.release("b", failing, WaitReason.RETRY_BACKOFF, delay_ms=70_000)
    await queue.release("b", ended, WaitReason.CAPACITY)
    await queue.cancel(ended)
    await redis.delete(keys.job(ended))  # its retention is over

    assert await queue.wake("sonnet", 1) == 0

    assert await claimed(queue, "c", 9) == [waiting], "the one that still waits, past those that do not"
    assert [round(pause, -1) for pause in await pauses(redis, [failing])] == [70]


async def test_a_crowd_is_not_looked_through_at_once(redis: Any) -> None:
    queue = queue_of(redis)
    await redis.zadd(keys.PARKED + "sonnet", {f"job_{number}": number for number in range(1000)})
    await redis.expire(keys.PARKED + "sonnet", 60)
    assert await queue.wake("sonnet", 2) == 800


async def test_what_parking_leaves_behind_goes_away(redis: Any) -> None:
    queue = queue_of(redis)
    (job_id,) = await parked(queue, 1)
    await queue.cancel(job_id)
    for key in (keys.PARKED + "sonnet", keys.CANARY + "sonnet"):
        assert await redis.ttl(key) > 0
