"""Waking: each success wakes two that are parked, until none are left after this recovery."""

from typing import Any, cast

from shared import keys
from shared.errors import StoreUnavailable
from shared.gate import Gate
from shared.pool import Asker, Call, Limits, Pool, Spent, Used
from shared.queue import Queue
from tests.shared.queueing import claimed
from tests.shared.test_gate import OK, hearing
from tests.shared.test_parking import parked
from tests.waiting import until
from worker.waker import Waker

POOL = Pool("sonnet", Limits(requests=6000, input=600_000, output=600_000, in_flight=10))
CALL = Call(Asker("assistant"), characters=300, max_output_tokens=100)


class Queueing:
    """A queue in which so many are parked; a number below zero is a Redis that is away."""

    def __init__(self, *left: int) -> None:
        self.left = list(left)
        self.asked: list[tuple[str, int]] = []

    async def wake(self, pool: str, most: int) -> int:
        self.asked.append((pool, most))
        left = self.left.pop(0)
        if left < 0:
            raise StoreUnavailable
        return left


async def told(waker: Waker, *recoveries: int) -> None:
    for number in recoveries:
        waker.answered("sonnet", number)
        await until(lambda: not waker._tasks)


def waker_of(queue: Queueing) -> Waker:
    return Waker(cast(Any, queue))


async def test_without_an_outage_nobody_is_woken() -> None:
    queue = Queueing()
    await told(waker_of(queue), 0, 0, 0)
    assert queue.asked == []


async def test_each_success_wakes_two_until_none_are_left() -> None:
    queue = Queueing(3, 1, 0)
    await told(waker_of(queue), 1, 1, 1, 1, 1)
    assert queue.asked == [("sonnet", 2)] * 3


async def test_after_the_next_outage_it_begins_anew() -> None:
    queue = Queueing(0, 0)
    await told(waker_of(queue), 1, 1, 2, 2)
    assert len(queue.asked) == 2


async def test_a_redis_that_is_away_is_asked_again() -> None:
    queue = Queueing(-1, 0)
    await told(waker_of(queue), 1, 1, 1)
    assert len(queue.asked) == 2


async def test_the_call_that_ends_an_outage_wakes_by_its_success(redis: Any) -> None:
    queue = Queue(redis, retention_ms=60_000)
    jobs = await parked(queue, 3)
    async with hearing(redis, Gate(redis, "me", Waker(queue).answered)) as gate:
        for _ in range(5):
            await gate.settle(await gate.reserve(POOL, CALL), Spent("down", Used()))
        assert await claimed(queue, "a", 3) == []

        await gate.settle(await gate.reserve(POOL, CALL), OK)  # when the breaker lets it try

        async def left(count: int) -> bool:
            return bool(await redis.zcard(keys.PARKED + "sonnet") == count)

        await until(lambda: left(1))
        await gate.settle(await gate.reserve(POOL, CALL), OK)
        await until(lambda: left(0))
    assert await claimed(queue, "a", 3) == jobs
