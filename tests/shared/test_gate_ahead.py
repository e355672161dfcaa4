"""Calls are granted a little ahead: what should be left by then is said, and what is not there is called back."""

import asyncio
from typing import Any

import pytest

from shared import keys
from shared.gate import Gate
from shared.pool import Asker, Call, Headroom, Limits, Pool, Spent, Used
from shared.redis_client import Redis
from tests.shared.gating import Gates, call, pool
from tests.waiting import until

REFUSED = Spent("busy", Used(), headroom=Headroom({}, {"input": 0}), retry_after=3)


async def test_a_grant_says_what_should_be_left_at_its_start(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    entries = [await gates.enter(where, call()) for _ in range(61)]

    assert entries[0].reservation.leaves == {"requests": 59, "input": 59_910, "output": 600_000}
    assert entries[60].wait == 0.1
    assert entries[60].reservation.leaves["requests"] == 0, "of 60, and one that flows in until then"


async def test_a_call_that_asks_again_is_told_the_same(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    entry = await gates.enter(where, call())
    again = await gates.enter(where, call(), call_id=entry.id)
    assert again.reservation == entry.reservation


async def test_a_grant_by_message_says_it_too(gates: Gates) -> None:
    where = pool(in_flight=1)
    await gates.fill(where)
    first = await gates.enter(where, call())
    second = await gates.enter(where, call(), worker="w2")
    async with gates.redis.pubsub(ignore_subscribe_messages=True) as ear:
        await ear.subscribe(keys.GRANTS + "w2")
        await ear.get_message(timeout=5)
        await gates.ends(first)
        assert await heard(ear) == f"{second.id} 0 58 59820 599950 sonnet"


async def test_a_refusal_calls_back_what_has_not_started(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    entries = [await gates.enter(where, call(), worker="w2") for _ in range(61)]
    async with gates.redis.pubsub(ignore_subscribe_messages=True) as ear:
        await ear.subscribe(keys.GRANTS + "w2")
        await ear.get_message(timeout=5)
        await gates.leave(entries[0], REFUSED)
        assert str(await heard(ear)).startswith(f"{entries[60].id} -1 ")
        assert await ear.get_message(timeout=0.05) is None, "the others have started"
        await gates.later(0.2)
        await gates.leave(entries[1], REFUSED)
        assert await ear.get_message(timeout=0.05) is None, "it has started meanwhile"


async def heard(ear: Any) -> Any:
    async with asyncio.timeout(10):
        while not (message := await ear.get_message(timeout=1)):
            pass
    return message["data"]


POOL = Pool("sonnet", Limits(requests=6000, input=600_000, output=600_000, in_flight=50))
CALL = Call(Asker("assistant"), characters=300, max_output_tokens=100)


class Ahead(Gate):
    """Its first call is granted a long time ahead."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, "me")
        self.entered: list[tuple[str, list[Any]]] = []
        self._ask = self.commands.enter
        self.commands.enter = self._asked  # type: ignore[method-assign]

    async def _asked(self, call_id: str, pool: Pool, call: Call, place: str = "", news: Any = ()) -> Any:
        self.entered.append((place, list(news)))
        heed, answer = await self._ask(call_id, pool, call, place, news)
        if len(self.entered) == 1:
            answer[1] = 3_600_000
        return heed, answer


@pytest.fixture
def ahead(redis: Redis) -> Ahead:
    return Ahead(redis)


async def granted(gate: Gate, redis: Any) -> str:
    """The id of the call in flight."""

    async def flies() -> bool:
        return bool(gate._in_flight.get("sonnet"))

    await until(flies)
    (call_id,) = await redis.hkeys(keys.gate_calls("sonnet"))
    return str(call_id)


async def test_a_call_that_is_called_back_enters_again_at_its_place(ahead: Ahead, redis: Redis) -> None:
    async with asyncio.timeout(30):
        reserving = asyncio.create_task(ahead.reserve(POOL, CALL))
        call_id = await granted(ahead, redis)
        ahead.hear(f"{call_id} -1 0 0 0 sonnet")
        passed = await reserving

    assert passed.id == call_id
    (_, none), (place, (end,)) = ahead.entered
    assert none == []
    assert place
    assert (end["id"], end["outcome"], end["used"]) == (call_id, "", {"requests": 0, "input": 0, "output": 0})
    look = await ahead.commands.tell(POOL) and await redis.hlen(keys.gate_calls("sonnet"))
    assert look == 1, "and it is in flight once"
    await ahead.settle(passed, Spent("ok", Used(1, 90, 50)))


async def test_it_is_called_back_once_however_often_that_is_said(ahead: Ahead, redis: Redis) -> None:
    async with asyncio.timeout(30):
        reserving = asyncio.create_task(ahead.reserve(POOL, CALL))
        call_id = await granted(ahead, redis)
        for _ in range(3):
            ahead.hear(f"{call_id} -1 0 0 0 sonnet")
        passed = await reserving
    assert len(ahead.entered) == 2
    ahead.hear(f"{call_id} -1 0 0 0 sonnet")  # it has started
    ahead.hear("call_unknown -1 0 0 0 sonnet")
    await ahead.settle(passed, Spent("ok", Used(1, 90, 50)))
    assert not await redis.hlen(keys.gate_calls("sonnet"))


async def test_one_that_is_cancelled_before_its_start_gives_all_back(ahead: Ahead, redis: Redis) -> None:
    reserving = asyncio.create_task(ahead.reserve(POOL, CALL))
    await granted(ahead, redis)
    reserving.cancel()
    await asyncio.gather(reserving, return_exceptions=True)
    assert not await redis.hlen(keys.gate_calls("sonnet"))
