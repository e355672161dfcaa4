"""Dead workers: noticed by a closed connection sooner than by the lease, and never mistaken for silent ones."""

from typing import Any

import pytest

from shared import keys
from shared.job import Status
from shared.queue import Queue
from shared.redis_client import Redis
from tests.shared.queueing import claim, claimed, fall_silent, let_lapse, submitted


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def test_a_silent_worker_that_nobody_hears_for_is_dead(redis: Redis, queue: Queue) -> None:
    jobs = [await submitted(queue) for _ in range(3)]
    await claimed(queue, "dead", 3)
    await claimed(queue, "b")
    await fall_silent(redis, "dead")

    claim_of_b = await claim(queue, "b", 5)

    assert [job.id for job in claim_of_b.jobs] == jobs
    assert {job.crashes for job in claim_of_b.jobs} == {1}
    assert claim_of_b.jobs[0].deaths[0].owner == "dead"
    assert await redis.zrange(keys.WORKERS, 0, -1) == ["b"]  # type: ignore[attr-defined]
    assert await redis.hkeys(keys.SLOTS) == ["b"]  # type: ignore[attr-defined]


async def test_a_silent_worker_that_still_listens_keeps_its_leases(redis: Any, queue: Queue) -> None:
    await submitted(queue)
    await claimed(queue, "stopped")
    await claimed(queue, "b")
    await fall_silent(redis, "stopped")
    async with redis.pubsub(ignore_subscribe_messages=True) as ear:
        await ear.subscribe(keys.CONTROL + "stopped")
        await ear.get_message(timeout=5)

        assert await claimed(queue, "b") == []


async def test_a_worker_that_just_spoke_is_alive_whether_it_listens_or_not(queue: Queue) -> None:
    await submitted(queue)
    await claimed(queue, "quick")

    assert await claimed(queue, "b") == []


async def test_a_job_that_was_to_be_cancelled_ends_with_its_worker(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "dead")
    await queue.cancel(job_id)
    await let_lapse(redis, [job_id])

    assert await claimed(queue, "b") == []
    assert await redis.hget(keys.job(job_id), "status") == Status.CANCELLED  # type: ignore[attr-defined]


async def test_the_story_names_each_death(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    for owner in ("first", "second"):
        await claimed(queue, owner)
        await let_lapse(redis, [job_id])
    (job,) = (await claim(queue, "third")).jobs

    assert [death.owner for death in job.deaths] == ["first", "second"]
    assert job.created_ms <= job.deaths[0].at_ms <= job.deaths[1].at_ms


async def test_a_claim_whose_answer_was_lost_comes_again_to_the_same_worker(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "a")  # the answer is lost
    await let_lapse(redis, [job_id])

    (job,) = (await claim(queue, "a")).jobs

    assert (job.id, job.crashes) == (job_id, 0)
