"""Dead workers: noticed by a closed connection sooner than by the lease, and never mistaken for silent ones."""

import itertools
from typing import Any

import pytest

from shared import clock, keys
from shared.errors import LeaseLost
from shared.job import Schedule, WaitReason
from shared.queue import Queue
from shared.redis_client import Redis
from shared.states import Status
from tests.shared.queueing import LEASE_MS, claim, claimed, die, fall_silent, fleet, submitted, sweep
from tests.waiting import until


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def test_a_silent_worker_that_nobody_listens_for_is_dead(redis: Any, queue: Queue) -> None:
    jobs = [await submitted(queue) for _ in range(3)]
    await claimed(queue, "dead", 3)
    await fleet(redis, "b").enlist(10)
    await fall_silent(redis, "dead", seconds=4)
    await sweep(redis)

    claim_of_b = await claim(queue, "b", 5)

    assert [job.id for job in claim_of_b.jobs] == jobs
    assert {job.crashes for job in claim_of_b.jobs} == {1}
    assert claim_of_b.jobs[0].deaths[0].owner == "dead"
    assert await redis.smembers(keys.WORKERS) == {"b"}
    assert await redis.exists(keys.ALIVE + "dead", keys.CLAIMED + "dead") == 0


async def listened_for(redis: Any, owner: str) -> Any:
    ear = redis.pubsub(ignore_subscribe_messages=True)
    await ear.subscribe(keys.CONTROL + owner)
    await ear.get_message(timeout=5)
    return ear


async def test_a_silent_worker_that_still_listens_keeps_its_jobs_for_a_lease(redis: Any, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "stopped")
    ear = await listened_for(redis, "stopped")
    await fall_silent(redis, "stopped", seconds=LEASE_MS / 2000)
    await sweep(redis)
    assert await claimed(queue, "b") == []

    await fall_silent(redis, "stopped", seconds=LEASE_MS / 1000 + 1)
    await sweep(redis)
    await ear.aclose()

    assert await claimed(queue, "b") == [job_id]


async def test_a_worker_that_just_spoke_is_alive_whether_it_is_listened_for_or_not(redis: Redis, queue: Queue) -> None:
    await submitted(queue)
    await claimed(queue, "quick")
    await fleet(redis, "quick").enlist(10)
    await sweep(redis)

    assert await claimed(queue, "b") == []


async def test_a_job_that_was_to_be_cancelled_ends_with_its_worker(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "dead")
    await queue.cancel(job_id)
    await die(redis, "dead")

    assert await claimed(queue, "b") == []
    assert await redis.hget(keys.job(job_id), "status") == Status.CANCELLED  # type: ignore[attr-defined]


async def test_the_story_names_each_death(redis: Redis, queue: Queue) -> None:
    await submitted(queue)
    for owner in ("first", "second"):
        await claimed(queue, owner)
        await die(redis, owner)
    (job,) = (await claim(queue, "third")).jobs

    assert [death.owner for death in job.deaths] == ["first", "second"]
    assert job.created_ms <= job.deaths[0].at_ms <= job.deaths[1].at_ms


async def test_who_was_taken_for_dead_is_told_at_its_next_beat(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "a")
    await die(redis, "a")

    assert not await fleet(redis, "a").beat(10)
    await fleet(redis, "a").enlist(10)
    assert (await queue.renew("a", [job_id], thorough=True)).lost == [job_id]


async def test_a_worker_that_died_before_it_ever_spoke_is_missed_all_the_same(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "young")
    await redis.pexpire(keys.ALIVE + "young", 80_000_000)  # type: ignore[attr-defined]
    await sweep(redis)

    assert await claimed(queue, "b") == [job_id]


async def test_a_claim_can_be_repeated_after_a_lost_answer(queue: Queue) -> None:
    jobs = [await submitted(queue) for _ in range(5)]
    first = await queue.claim("a", ticket=7, wanted=3, suspects=1)
    await queue.release("a", jobs[1], WaitReason.CAPACITY)

    again = await queue.claim("a", ticket=7, wanted=3, suspects=1)
    following = await queue.claim("a", ticket=8, wanted=3, suspects=1)

    assert [job.id for job in first.jobs] == jobs[:3]
    assert [job.id for job in again.jobs] == [jobs[0], jobs[2]], "what it still holds of them"
    assert [job.id for job in following.jobs] == [jobs[1], jobs[3], jobs[4]]


async def test_what_a_worker_holds_without_knowing_is_found_out(queue: Queue) -> None:
    known, unknown = await submitted(queue), await submitted(queue)
    await claimed(queue, "a", 2)

    renewal = await queue.renew("a", [known], thorough=False)

    assert (renewal.lost, renewal.unknown) == ([], [unknown])


async def test_one_worker_has_the_watch_until_it_is_silent_or_leaves(redis: Any) -> None:
    one, other = fleet(redis, "one"), fleet(redis, "other")
    assert await one.take_watch()
    assert not await other.take_watch()
    assert await other.sweep(judge=True) is None
    assert 0 < await redis.pttl(keys.WATCH) <= 2500
    assert await one.sweep(judge=True) is not None
    assert await redis.pttl(keys.WATCH) > 2500, "nobody holds anything: it need not look so often"

    await one.leave()

    assert await other.take_watch()
    assert await redis.exists(keys.ALIVE + "one") == 0


async def test_a_lost_wake_up_is_made_up_for_by_the_watch(redis: Any, queue: Queue) -> None:
    await submitted(queue)
    await redis.delete(keys.WAKE)  # whoever took it died before it claimed

    await sweep(redis)

    assert await redis.llen(keys.WAKE) == 1


async def test_many_jobs_of_the_dead_all_come_back(redis: Any, queue: Queue) -> None:
    jobs = {await submitted(queue) for _ in range(700)}
    for number in itertools.count():
        if not await claimed(queue, f"w{number % 3}", 50):
            break
    await die(redis, "w0", "w1", "w2")

    assert await redis.hlen(keys.LEASES) == 0
    assert {job for _ in range(14) for job in await claimed(queue, "b", 50)} == jobs


async def test_a_worker_that_leaves_with_jobs_is_buried(redis: Any, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "a")
    await fleet(redis, "a").leave()
    await sweep(redis)

    assert await claimed(queue, "b") == [job_id]


async def test_a_fleet_that_was_away_for_days_is_missed(redis: Any, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "a")
    await sweep(redis, judge=False)
    assert await redis.ttl(keys.WORKERS) == -1, "while it holds something it is not forgotten"
    await redis.delete(keys.ALIVE + "a")  # a day has passed
    await sweep(redis)

    assert await claimed(queue, "b") == [job_id]


async def test_one_missing_record_does_not_keep_the_others(redis: Any, queue: Queue) -> None:
    jobs = [await submitted(queue) for _ in range(5)]
    await claimed(queue, "a", 5)
    gone = await redis.hgetall(keys.job(jobs[2]))
    await redis.delete(keys.job(jobs[2]))
    await die(redis, "a")

    assert await claimed(queue, "b", 10) == jobs[:2] + jobs[3:]
    assert await redis.hlen(keys.LEASES) == 4
    await redis.hset(keys.job(jobs[2]), mapping=gone | {"status": "queued"})
    await redis.hincrby(keys.COUNTS, ":running", -1)
    await redis.hincrby(keys.COUNTS, "default:running", -1)
    await redis.hincrby(keys.COUNTS, ":queued", 1)
    await redis.hincrby(keys.COUNTS, "default:queued", 1)


async def test_who_claims_after_it_was_buried_is_told_so(redis: Redis, queue: Queue) -> None:
    for _ in range(2):
        await submitted(queue)
    assert (await claim(queue, "a")).anew, "nobody knew it yet"
    assert not (await claim(queue, "a")).anew
    await submitted(queue)
    await die(redis, "a")

    assert (await claim(queue, "a")).anew


async def test_a_repeated_release_does_not_hit_the_next_attempt(redis: Redis, queue: Queue) -> None:
    job_id = await submitted(queue)
    (first,) = (await claim(queue, "a")).jobs
    await queue.release("a", job_id, WaitReason.RETRY_BACKOFF, claim=first.claims)
    (second,) = (await claim(queue, "a")).jobs

    with pytest.raises(LeaseLost):  # the answer to the first was lost
        await queue.release("a", job_id, WaitReason.RETRY_BACKOFF, claim=first.claims)

    assert (second.claims, second.failures) == (2, 1)
    assert await redis.hget(keys.LEASES, job_id) == "a"  # type: ignore[attr-defined]


async def test_a_watch_that_nobody_listens_for_is_laid_down(redis: Any, queue: Queue) -> None:
    """It died while nobody held anything, when it need not look for long."""
    assert await fleet(redis, "dead").take_watch()
    assert await fleet(redis, "dead").sweep(judge=True) is not None
    await submitted(queue, schedule=Schedule(delay_ms=100))

    assert await fleet(redis, "b").take_watch()


async def test_a_parked_job_that_was_taken_when_due_is_left_alone_by_the_watch(redis: Any, queue: Queue) -> None:
    job_id = await submitted(queue)
    await claimed(queue, "a")
    await queue.release("a", job_id, WaitReason.RATE_LIMIT, delay_ms=1)

    async def taken() -> bool:
        await redis.zadd(keys.READY, {"default": 0})
        return await claimed(queue, "b") == [job_id]

    await until(taken)
    score = await redis.zscore(keys.ARQ_QUEUE, job_id)
    await sweep(redis)

    assert await redis.zscore(keys.ARQ_QUEUE, job_id) == score
    assert await redis.zcard(keys.RETURNING) == 0


async def test_a_clock_that_is_set_forward_kills_nobody(
    redis: Any, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from here: our own clock goes back instead of that of Redis' host forward."""
    job_id = await submitted(queue)
    await claimed(queue, "a")
    await redis.set(keys.WATCH, "b", px=60_000)
    watching, began = fleet(redis, "b"), clock.monotonic()
    assert await watching.sweep(judge=True) is not None
    await fall_silent(redis, "a")

    for seconds in (-3600, -3598):
        monkeypatch.setattr(clock, "monotonic", lambda now=began + seconds: now)
        assert await watching.sweep(judge=True) is not None
        assert await redis.hget(keys.LEASES, job_id) == "a"

    monkeypatch.setattr(clock, "monotonic", lambda: began - 3590)
    await watching.sweep(judge=True)
    assert await claimed(queue, "b") == [job_id], "its silence went on"


async def test_a_watch_that_dies_just_after_the_first_claim_is_soon_another_workers(redis: Any) -> None:
    """It looks seldom while nobody holds anything, and may die before it has heard that somebody does now."""
    queue = Queue(redis, retention_ms=60_000)
    listening = redis.pubsub()
    await listening.subscribe(keys.CONTROL + "w")
    await redis.set(keys.WATCH, "w", px=30_000)

    job_id = await submitted(queue)
    assert await claimed(queue, "w", 1) == [job_id]

    assert 0 < await redis.pttl(keys.WATCH) <= 5000
    await listening.aclose()
