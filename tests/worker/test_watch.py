"""The watch: who may judge others, when it looks, and that an outage of Redis is nobody's death."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from local.redis_server import RedisServer
from shared import clock, keys
from shared.fleet import Look
from shared.queue import Queue
from shared.redis_client import close, connect
from tests.shared.queueing import claimed, submitted
from tests.waiting import until
from worker.attempt import Interruption
from worker.lease_keeper import LeaseKeeper
from worker.watch import Contact, Watch


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Fleet:
    """What the watch asks of the fleet; counts it."""

    def __init__(self, look: Look | None = None) -> None:
        self.look = look or Look(None, 1)
        self.sweeps: list[bool] = []
        self.heads = 0
        self.head: tuple[str, float] | None = None

    async def take_watch(self) -> bool:
        return True

    async def sweep(self, *, judge: bool) -> Look | None:
        self.sweeps.append(judge)
        return self.look

    async def stock_entry(self) -> tuple[str, float] | None:
        self.heads += 1
        return self.head


def watch_of(fleet: Any) -> Watch:
    return Watch(fleet, Contact())


def test_contact_is_steady_only_while_it_lasts(time: Clock) -> None:
    contact = Contact()
    assert not contact.steady
    for _ in range(4):
        contact.felt()
        time.now += 1
    assert contact.steady
    time.now += 5  # Redis is away

    assert not contact.steady, "what was before the outage says nothing of now"
    contact.felt()
    assert not contact.steady


async def test_after_an_outage_the_first_look_judges_nobody(time: Clock) -> None:
    fleet = Fleet()
    watch = watch_of(fleet)
    for _ in range(5):
        await watch.look()
        time.now += 1
    assert fleet.sweeps[-1]
    time.now += 6

    for _ in range(3):
        await watch.look()
        time.now += 1

    assert fleet.sweeps[-3:] == [False, False, False]


async def test_a_call_for_later_is_no_reason_to_look_now(time: Clock) -> None:
    fleet = Fleet(Look(None, 1))
    watch = watch_of(fleet)
    await watch.look()
    for _ in range(100):
        watch.call(3600)
        await watch.look()
    assert len(fleet.sweeps) == 1

    watch.call(0.2)
    assert watch.called.is_set()
    assert await watch.look() == pytest.approx(0.2)
    time.now += 0.2
    await watch.look()
    assert len(fleet.sweeps) == 2


async def test_while_nothing_is_held_it_only_glances(time: Clock) -> None:
    fleet = Fleet(Look(None, 0))
    watch = watch_of(fleet)
    for _ in range(9):
        await watch.look()
        time.now += 1
    assert (len(fleet.sweeps), fleet.heads) == (1, 8)

    fleet.head = ("stock", 1.0)
    await watch.look()
    assert len(fleet.sweeps) == 2, "a stock client has enqueued something"
    watch.call(0)
    await watch.look()
    assert len(fleet.sweeps) == 3


class Attempt:
    def __init__(self) -> None:
        self.told: list[Interruption] = []

    def interrupt(self, why: Interruption) -> None:
        self.told.append(why)


@asynccontextmanager
async def keepers(url: str, held: dict[str, list[str]]) -> AsyncIterator[None]:
    """A real lease keeper for each worker, with the jobs it holds."""
    started = []
    for owner, jobs in held.items():
        running = {job_id: Attempt() for job_id in jobs}
        keeper = LeaseKeeper(
            url, owner=owner, slots=1, lease_ms=10_000, running=running, retention_ms=60_000, longest_block=60
        )
        keeper.start()
        started.append(keeper)
    try:
        yield
    finally:
        for keeper in started:
            await keeper.stop()


@pytest.mark.parametrize("seconds", [0.5, 4.2])
async def test_an_outage_takes_no_job_from_a_living_worker(tmp_path: Path, seconds: float) -> None:
    with RedisServer(data_folder=tmp_path, options={"appendfsync": "always"}) as server:
        redis: Any = connect(server.url)
        queue = Queue(redis, retention_ms=60_000)
        jobs = [await submitted(queue) for _ in range(6)]
        held: dict[str, list[str]] = {f"w{number}": await claimed(queue, f"w{number}") for number in range(6)}
        async with keepers(server.url, held | {"idle-1": [], "idle-2": []}):

            async def all_listen() -> bool:
                heard = await redis.pubsub_numsub(*(keys.CONTROL + owner for owner in held))
                return all(count for _, count in heard)

            await until(all_listen)
            await asyncio.sleep(3.5)  # long enough that somebody may judge
            server.kill()
            await asyncio.sleep(seconds)
            server.start()

            async def judged_again() -> bool:
                return await redis.get(keys.WATCH) is not None and await all_listen()

            await until(judged_again)
            await asyncio.sleep(4)  # long enough that somebody may judge again

            crashes = [await redis.hget(keys.job(job_id), "crashes") for job_id in jobs]
            assert crashes == [None] * 6
            assert await redis.hlen(keys.LEASES) == 6
        await close(redis)
