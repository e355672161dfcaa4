"""The queue's order and its leases: what comes back goes to its old place, and an outage is no death."""

import pytest

from shared import ids, keys, retention
from shared.checkpoints import Checkpoints
from shared.job import Priority, WaitReason
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.retention import Janitor
from shared.states import Event, Status
from shared.submission import Accepted, Caps
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.shared.queueing import claim, claimed, die, fall_silent, fleet, spec, submitted, sweep
from tests.waiting import until


def queue_of(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def test_priorities_are_a_head_start(redis: Redis) -> None:
    queue = queue_of(redis)
    low, standard, high = [await submitted(queue, priority=Priority(name)) for name in ("low", "standard", "high")]

    assert await claimed(queue, "a", 3) == [high, standard, low]


async def test_a_job_whose_worker_died_goes_before_newer_ones(redis: Redis) -> None:
    queue = queue_of(redis)
    old = await submitted(queue)
    assert await claimed(queue, "a") == [old]
    newer = [await submitted(queue) for _ in range(3)]
    await die(redis, "a")

    assert await claimed(queue, "b", 4) == [old, *newer]


async def test_a_parked_job_goes_before_newer_ones_when_it_is_due(redis: Redis) -> None:
    queue = queue_of(redis)
    old = await submitted(queue)
    await claimed(queue, "a")
    newer = await submitted(queue)
    await queue.release("a", old, WaitReason.PROVIDER_OUTAGE, delay_ms=20)

    async def due() -> bool:
        await sweep(redis)
        return await redis.zcard(keys.RETURNING) == 0

    await until(due)
    assert await claimed(queue, "b", 2) == [old, newer]


async def test_after_an_outage_nobody_is_taken_for_dead(redis: Redis) -> None:
    """Nobody was heard of for as long as Redis was away, not even whoever has the watch: so it must not judge yet."""
    queue = queue_of(redis)
    of_a, of_b = [[await submitted(queue) for _ in range(2)] for _ in range(2)]
    assert (await claimed(queue, "a", 2), await claimed(queue, "b", 2)) == (of_a, of_b)
    await fall_silent(redis, "a", "b")

    await sweep(redis, judge=False)
    assert await fleet(redis, "a").beat(10), "A is back before B"
    await sweep(redis, judge=False)
    assert await fleet(redis, "b").beat(10)
    await sweep(redis)

    assert await claimed(queue, "c", 4) == []
    for owner, held in (("a", of_a), ("b", of_b)):
        assert (await queue.renew(owner, held, thorough=True)).lost == []


async def test_a_job_cancelled_while_it_waits_keeps_what_it_had_said(redis: Redis) -> None:
    queue = queue_of(redis)
    job_id = await submitted(queue)
    await claimed(queue, "a")
    said = ModelRecord(1, [{"type": "text", "text": "so far"}], "tool_use", Usage(), "t", "m", None, 1)
    await Checkpoints(redis).append("a", job_id, 0, said)
    await queue.release("a", job_id, WaitReason.CAPACITY)

    assert await queue.cancel(job_id) == Status.CANCELLED

    assert await redis.hget(keys.job(job_id), "output") == "so far"


async def test_a_death_is_counted_once_and_the_next_owner_is_fenced_in(redis: Redis) -> None:
    queue = queue_of(redis)
    job_id = await submitted(queue)
    await claimed(queue, "a")
    await die(redis, "a")
    await sweep(redis)

    (job,) = (await claim(queue, "b")).jobs

    assert (job.crashes, job.attempt) == (1, 2)
    assert (await queue.renew("a", [job_id], thorough=False)).lost == [job_id]


async def test_suspects_are_taken_one_at_a_time(redis: Redis) -> None:
    queue = queue_of(redis)
    jobs = [await submitted(queue) for _ in range(3)]
    for owner in ("a", "b"):
        taken = await claimed(queue, owner, 3)
        assert sorted(taken) == sorted(jobs), "one death makes no suspect"
        await die(redis, owner)

    assert len(await claimed(queue, "c", 3)) == 1
    taken = await claim(queue, "c", 3, suspects=0)
    assert taken.jobs == []


async def test_a_submit_whose_answer_was_lost_can_be_repeated(redis: Redis) -> None:
    queue, job_id = queue_of(redis), ids.new_job_id()
    answers = [await queue.submit(job_id, spec(), caps=Caps(max_depth=1)) for _ in range(2)]

    assert all(isinstance(answer, Accepted) for answer in answers)
    assert await redis.zcard(keys.ARQ_QUEUE) == 1


async def test_the_list_of_a_tenant_does_not_outgrow_its_jobs(redis: Redis) -> None:
    queue = queue_of(redis)
    for _ in range(10):
        job_id = await submitted(queue)
        await claimed(queue, "a")
        assert await queue.finish("a", job_id, Conclusion(Event.SUCCEED, output="x")) == Status.SUCCEEDED
        await redis.delete(keys.job(job_id))  # its retention is over
    kept = await submitted(queue)

    await Janitor(redis).sweep()

    assert await redis.zrange(keys.tenant_jobs("default"), 0, -1) == [kept]


async def test_ids_behind_jobs_that_live_long_are_removed_too(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_PAGE", 2)
    queue, janitor = queue_of(redis), Janitor(redis)
    kept = [await submitted(queue) for _ in range(5)]
    gone = [await submitted(queue) for _ in range(5)]
    for job_id in gone:
        await queue.cancel(job_id)
        await redis.delete(keys.job(job_id))  # its retention is over

    for _ in range(6):
        await redis.delete(keys.JANITOR)  # a minute later
        await janitor.sweep()

    assert await redis.zrange(keys.tenant_jobs("default"), 0, -1) == kept


async def test_one_answer_does_not_carry_more_than_a_few_megabytes(redis: Redis) -> None:
    queue = queue_of(redis)
    for _ in range(8):
        await queue.submit(ids.new_job_id(), spec(input="x" * 1_000_000))

    assert len(await claimed(queue, "a", 8)) == 4
    assert len(await claimed(queue, "a", 8)) == 4


async def test_of_a_tenant_whose_last_job_is_removed_nothing_is_left(redis: Redis) -> None:
    queue = queue_of(redis)
    job_id = await submitted(queue)
    await queue.cancel(job_id)
    await redis.delete(keys.job(job_id), keys.tenant_jobs("default"))  # its retention is over

    await Janitor(redis).sweep()

    assert await redis.smembers(keys.LISTED) == set()


async def test_parks_count_only_outages_and_start_anew_when_the_provider_answers(redis: Redis) -> None:
    queue = queue_of(redis)
    job_id = await submitted(queue)
    for reason in (WaitReason.CAPACITY, WaitReason.PROVIDER_OUTAGE, WaitReason.RATE_LIMIT):
        await claimed(queue, "a")
        await queue.release("a", job_id, reason)

    (job,) = (await claim(queue, "a")).jobs
    assert job.parks == 2
