"""Leases are kept from a thread: a blocked main loop loses nothing, a hung one does."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from local.redis_server import RedisServer
from shared import keys
from shared.queue import Queue
from shared.redis_client import Redis
from shared.states import Status
from tests.shared.queueing import claimed, submitted, sweep
from tests.waiting import until
from worker.attempt import Interruption
from worker.lease_keeper import LeaseKeeper

LEASE_MS = 600
OWNER = "keeper"


class Attempt:
    """Hears why it is to stop."""

    def __init__(self) -> None:
        self.told: list[Interruption] = []

        self.followers: list[str] = []

    def interrupt(self, why: Interruption) -> None:
        self.told.append(why)

    def follow(self, follower: str) -> None:
        self.followers.append(follower)


Start = Callable[..., LeaseKeeper]


@pytest.fixture
async def start(redis_server: RedisServer) -> AsyncIterator[Start]:
    started: list[LeaseKeeper] = []

    def starting(running: dict[str, Any], longest_block: float = 60) -> LeaseKeeper:
        keeper = LeaseKeeper(
            redis_server.url,
            owner=OWNER,
            slots=10,
            lease_ms=LEASE_MS,
            running=running,
            retention_ms=60_000,
            longest_block=longest_block,
        )
        keeper.start()
        started.append(keeper)
        return keeper

    yield starting
    for keeper in started:
        await keeper.stop()


def block() -> None:
    """What a tool without await does to everybody, for three leases."""
    time.sleep(3 * LEASE_MS / 1000)


async def held(queue: Queue) -> str:
    job_id = await submitted(queue)
    await claimed(queue, OWNER)
    return job_id


async def listening(redis: Redis) -> None:
    async def heard() -> bool:
        return bool((await redis.pubsub_numsub(keys.CONTROL + OWNER))[0][1])  # type: ignore[attr-defined]

    async def enlisted() -> bool:
        return bool(await redis.sismember(keys.WORKERS, OWNER))  # type: ignore[attr-defined]

    await until(heard)
    await until(enlisted)


async def test_a_main_loop_that_is_blocked_for_three_leases_keeps_its_jobs(redis: Redis, start: Start) -> None:
    queue = Queue(redis, retention_ms=60_000)
    job_id = await held(queue)
    start({job_id: Attempt()})
    await listening(redis)

    block()
    await sweep(redis, lease_ms=LEASE_MS)

    assert await claimed(queue, "b") == []
    assert await redis.hget(keys.LEASES, job_id) == OWNER  # type: ignore[attr-defined]


async def test_a_main_loop_that_hangs_gives_its_jobs_up(redis: Redis, start: Start) -> None:
    queue = Queue(redis, retention_ms=60_000)
    job_id = await held(queue)
    start({job_id: Attempt()}, longest_block=LEASE_MS / 2000)
    await listening(redis)

    block()
    await sweep(redis, lease_ms=LEASE_MS)

    assert await claimed(queue, "b") == [job_id]


async def test_a_job_that_another_worker_has_is_stopped_here(redis: Redis, start: Start) -> None:
    queue, attempt = Queue(redis, retention_ms=60_000), Attempt()
    job_id = await submitted(queue)
    await claimed(queue, "b")

    start({job_id: attempt})

    await until(lambda: attempt.told == [Interruption.LEASE_LOST])


async def test_a_cancel_is_heard_at_once(redis: Redis, start: Start) -> None:
    queue, attempt = Queue(redis, retention_ms=60_000), Attempt()
    job_id = await held(queue)
    start({job_id: attempt})
    await listening(redis)

    await queue.cancel(job_id)

    await until(lambda: Interruption.CANCEL in attempt.told)


async def test_a_cancel_that_nobody_heard_is_learned_from_the_renewal(redis: Redis, start: Start) -> None:
    queue, attempt = Queue(redis, retention_ms=60_000), Attempt()
    job_id = await held(queue)
    await queue.cancel(job_id)

    start({job_id: attempt})

    await until(lambda: Interruption.CANCEL in attempt.told)


async def test_news_of_an_attempt_that_has_ended_do_not_hit_the_next_one(redis: Redis, start: Start) -> None:
    queue, running = Queue(redis, retention_ms=60_000), dict[str, Any]()
    job_id = await held(queue)
    keeper = start(running)
    before, after = Attempt(), Attempt()
    running[job_id] = after

    keeper._tell(job_id, before, Interruption.LEASE_LOST)
    keeper._tell(job_id, after, Interruption.CANCEL)
    await until(lambda: Interruption.CANCEL in after.told)

    assert before.told == []


async def test_a_worker_that_drains_has_no_slots(redis: Redis, start: Start) -> None:
    keeper = start({})
    await listening(redis)
    assert await redis.get(keys.ALIVE + OWNER) == "10"

    keeper.drain()

    async def without_slots() -> bool:
        return await redis.get(keys.ALIVE + OWNER) == "0"

    await until(without_slots)


async def test_a_job_whose_attempt_broke_goes_back(redis: Redis, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.lease_keeper._RENEW_SECONDS", 0.1)
    queue = Queue(redis, retention_ms=60_000)
    job_id = await held(queue)

    start({"another": Attempt()})

    async def back() -> bool:
        return await redis.hget(keys.job(job_id), "status") == Status.QUEUED  # type: ignore[attr-defined]

    await until(back)


async def test_it_ends_when_it_is_told_to(redis: Redis, redis_server: RedisServer, start: Start) -> None:
    keeper = start({})
    await listening(redis)

    await keeper.stop()

    assert not keeper._thread.is_alive()
    assert await redis.exists(keys.WORKERS, keys.ALIVE + OWNER) == 0  # type: ignore[attr-defined]


async def test_who_follows_a_job_is_heard_even_while_it_is_being_claimed(redis: Redis, start: Start) -> None:
    here, soon = Attempt(), Attempt()
    running = {"job_here": here}
    start(running)
    await listening(redis)
    for job_id in ("job_here", "job_soon", "job_elsewhere"):
        await redis.publish(keys.CONTROL + OWNER, f"follow {job_id} api-1")  # type: ignore[attr-defined]
    await until(lambda: here.followers == ["api-1"])
    running["job_soon"] = soon
    await until(lambda: soon.followers == ["api-1"])
