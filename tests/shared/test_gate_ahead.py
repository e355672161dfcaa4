"""Calls are granted a little ahead: what should be left by then is said, and what is not there is called back."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared import keys
from shared.errors import StoreUnavailable
from shared.gate import Gate
from shared.gate_news import begun
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
        assert await heard(ear) == f"{second.id} 0 0 58 59820 599950 sonnet"


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


@pytest.mark.parametrize("tokens", [27_500, 27_700, 27_800])
async def test_what_is_called_back_is_not_there_though_it_is_given_back(gates: Gates, tokens: int) -> None:
    where = pool()
    await gates.fill(where)
    refused = await gates.enter(where, call(input=tokens, agent="a"))
    ahead = await gates.enter(where, call(input=30_000, agent="b"))
    assert ahead.wait > 0
    await gates.leave(refused, REFUSED)
    await gates.leave(ahead, Spent(used=Used()))
    again = await gates.enter(where, call(input=tokens, agent="a", place=refused.reservation.place))
    assert again.wait > 1.9, "the provider said three seconds, rounded up"


async def test_what_has_not_started_is_not_in_what_the_provider_says_is_left(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    await gates.enter(where, call())
    await gates.later(0.099, step=0.099)
    first = await gates.enter(where, call(input=27_700, agent="f"))
    ahead = await gates.enter(where, call(input=30_000, agent="a"))
    await gates.later(0.002, step=0.002)
    await gates.enter(where, call())
    await gates.leave(first, Spent(used=Used()))
    await gates.later(0.101, step=0.101)
    before_it = await gates.enter(where, call(input=1, agent="c"))
    assert before_it.wait + 0.202 < 0.099 + ahead.wait
    await gates.worker().commands.tell(where, begun(before_it.id, Headroom({}, {"input": 59_000})))
    assert (await gates.look(where))["input"]["level"] < 31_000


async def test_a_retry_that_is_called_back_pays_once(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    refused = await gates.enter(where, call())
    await gates.leave(refused, REFUSED)
    await gates.later(4, where)
    again = call(place=refused.reservation.place)
    entry, commands = await gates.enter(where, again), gates.worker().commands
    for number in range(30):
        await gates.leave(entry, Spent(used=Used()))
        _, answer = await commands.enter(f"back_{number}", where, again, entry.reservation.place)
        assert answer[0] == "granted"
        entry.reservation = replace(entry.reservation, id=f"back_{number}", place=answer[4])


async def test_a_refusal_among_many_in_flight_looks_through_them_once(gates: Gates) -> None:
    where = pool(requests=6_000)
    await gates.fill(where)
    entries = [await gates.enter(where, call(input=1)) for _ in range(500)]
    while not entries[-1].wait:
        entries.append(await gates.enter(where, call(input=1)))
    async with gates.redis.pubsub(ignore_subscribe_messages=True) as ear:
        await ear.psubscribe(keys.GRANTS + "*")
        await ear.get_message(timeout=5)
        await gates.leave(entries[0], REFUSED)
        assert str(await heard(ear)).startswith(f"{entries[-1].id} -1 ")
        await gates.leave(entries[1], REFUSED)
        assert await ear.get_message(timeout=0.05) is None


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
    await until(lambda: bool(gate._in_flight.get("sonnet")))
    (call_id,) = await redis.hkeys(keys.gate_calls("sonnet"))
    return str(call_id)


async def test_a_call_that_is_called_back_enters_again_at_its_place(ahead: Ahead, redis: Redis) -> None:
    async with asyncio.timeout(30):
        reserving = asyncio.create_task(ahead.reserve(POOL, CALL))
        call_id = await granted(ahead, redis)
        ahead.hear(f"{call_id} -1 0 0 0 0 sonnet")
        passed = await reserving

    assert passed.id != call_id
    (_, none), (place, (end,)) = ahead.entered
    assert none == []
    assert place
    assert (end["id"], end["outcome"], end["used"]) == (call_id, "", {"requests": 0, "input": 0, "output": 0})
    assert await redis.hkeys(keys.gate_calls("sonnet")) == [passed.id]
    await ahead.settle(passed, Spent("ok", Used(1, 90, 50)))


async def test_it_is_called_back_once_however_often_that_is_said(ahead: Ahead, redis: Redis) -> None:
    async with asyncio.timeout(30):
        reserving = asyncio.create_task(ahead.reserve(POOL, CALL))
        call_id = await granted(ahead, redis)
        for _ in range(3):
            ahead.hear(f"{call_id} -1 0 0 0 0 sonnet")
        passed = await reserving
    assert len(ahead.entered) == 2
    ahead.hear(f"{call_id} -1 0 0 0 0 sonnet")  # it has started
    ahead.hear("call_unknown -1 0 0 0 0 sonnet")
    await ahead.settle(passed, Spent("ok", Used(1, 90, 50)))
    assert not await redis.hlen(keys.gate_calls("sonnet"))


async def test_one_that_is_cancelled_before_its_start_gives_all_back(ahead: Ahead, redis: Redis) -> None:
    reserving = asyncio.create_task(ahead.reserve(POOL, CALL))
    await granted(ahead, redis)
    reserving.cancel()
    await asyncio.gather(reserving, return_exceptions=True)
    assert not await redis.hlen(keys.gate_calls("sonnet"))


async def test_a_grant_and_its_call_back_may_be_heard_in_one_go(redis: Redis) -> None:
    gate, other = Gate(redis, "me"), Gate(redis, "other")
    where = Pool("sonnet", Limits(6000, 600_000, 600_000, 1))
    async with asyncio.timeout(30):
        first = await other.reserve(where, CALL)
        waiting = asyncio.create_task(gate.reserve(where, CALL))
        await until(lambda: bool(gate._waiting.get("sonnet")) and gate._crowded.get("sonnet") == 1)
        await other.settle(first, Spent("ok", Used(1, 90, 50)))
        (call_id,) = await redis.hkeys(keys.gate_calls("sonnet"))
        gate.hear(f"{call_id} 100 0 1 1 1 sonnet")
        gate.hear(f"{call_id} -1 0 1 1 1 sonnet")
        passed = await waiting
    assert passed.id != call_id
    assert await redis.hkeys(keys.gate_calls("sonnet")) == [passed.id]
    await gate.settle(passed, Spent("ok", Used(1, 90, 50)))


async def test_the_end_of_what_was_called_back_may_come_late(ahead: Ahead, redis: Redis) -> None:
    """The request that was to take it along gets lost, and the one that goes instead is slow."""
    go, told, tell, enter = asyncio.Event(), asyncio.Event(), ahead.commands.tell, ahead.commands.enter

    async def slow(pool: Pool, *news: Any) -> Any:
        told.set()
        await go.wait()
        return await tell(pool, *news)

    async def lost_first(*args: Any) -> Any:
        if not told.is_set():
            asyncio.get_running_loop().call_soon(ahead._news._visits._visit, POOL)
            raise StoreUnavailable("x")
        return await enter(*args)

    async with asyncio.timeout(30):
        reserving = asyncio.create_task(ahead.reserve(POOL, CALL))
        call_id = await granted(ahead, redis)
        ahead.commands.tell, ahead.commands.enter = slow, lost_first  # type: ignore[method-assign]
        ahead.hear(f"{call_id} -1 0 0 0 0 sonnet")
        await told.wait()
        passed = await reserving
        go.set()

        async def ended() -> bool:
            return await redis.hkeys(keys.gate_calls("sonnet")) == [passed.id]

        await until(ended)
    ahead.commands.tell = tell  # type: ignore[method-assign]
    await ahead.settle(passed, Spent("ok", Used(1, 90, 50)))
