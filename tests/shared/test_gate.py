"""A worker's side of the gate: who is told when, what gets lost on the way, and Redis that is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from local.redis_server import RedisServer
from shared import keys
from shared.errors import NoRoomYet
from shared.gate import Gate
from shared.gate_news import Item
from shared.listener import listen
from shared.pool import Asker, Call, Headroom, Limits, Pool, Reservation, Spent, Used
from shared.redis_client import Redis, close, connect
from tests.waiting import until

POOL = Pool("sonnet", Limits(requests=6000, input=600_000, output=600_000, in_flight=1))
CALL = Call(Asker("assistant"), characters=300, max_output_tokens=100)


@asynccontextmanager
async def hearing(redis: Redis, gate: Gate) -> AsyncIterator[Gate]:
    """Grants are heard, as they are in a worker."""
    connected = asyncio.Event()
    ear = asyncio.create_task(listen(redis, gate.channel, gate.hear, connected.set))
    await connected.wait()
    yield gate
    ear.cancel()


async def waits(redis: Any, count: int = 1) -> None:
    async def so_many() -> bool:
        return bool(await redis.hlen(keys.gate_waiting("sonnet")) == count)

    await until(so_many)


async def reserve(gate: Gate, where: Pool = POOL) -> Reservation:
    async with asyncio.timeout(30):
        return await gate.reserve(where, CALL)


OK = Spent("ok", Used(1, 90, 50))


async def test_who_waits_is_told_as_soon_as_there_is_room(redis: Redis) -> None:
    other = Gate(redis, "other")
    first = await reserve(other)
    async with hearing(redis, Gate(redis, "me")) as gate:
        second = asyncio.create_task(reserve(gate))
        await waits(redis)

        await other.settle(first, OK)

        await gate.settle(await second, OK)


async def test_the_end_of_the_last_call_that_may_be_in_flight_is_told_at_once(redis: Redis) -> None:
    """Though nobody waited yet when this worker last heard from the gate."""
    told: list[float] = []
    async with hearing(redis, Gate(redis, "me")) as gate:
        gate._news.tell = lambda pool, item, within: told.append(within)  # type: ignore[method-assign]
        gate.answered(passed := await reserve(gate), Used(1, 90, 50))
        await gate.settle(passed, OK)
    assert told == [0.0]


async def test_a_grant_whose_message_got_lost_is_found(redis: Redis) -> None:
    gate, other = Gate(redis, "deaf"), Gate(redis, "other")
    first = await reserve(other)
    second = asyncio.create_task(reserve(gate))
    await waits(redis)
    await other.settle(first, OK)

    await gate.keep()

    await gate.settle(await second, OK)


async def test_a_call_that_the_gate_has_forgotten_enters_again(redis: Any) -> None:
    gate = Gate(redis, "me")
    first = await reserve(gate)
    second = asyncio.create_task(reserve(gate))
    await waits(redis)
    await redis.flushall()

    await gate.keep()

    await gate.settle(await second, OK)
    await gate.settle(first, OK)


async def test_one_worker_comes_again_for_all(redis: Redis) -> None:
    """What only time brings about: the room for the next one."""
    where = Pool("sonnet", Limits(requests=600, input=600_000, output=600_000, in_flight=100))
    gates = [Gate(redis, f"w{number}") for number in range(3)]
    async with hearing(redis, gates[0]), hearing(redis, gates[1]), hearing(redis, gates[2]):
        passed = await asyncio.gather(*(reserve(gate, where) for gate in gates for _ in range(8)))

    assert len({each.id for each in passed}) == 24
    for each in passed:
        await gates[0].settle(each, Spent(used=Used()))


async def test_a_cancel_gives_the_place_back(redis: Any) -> None:
    gate = Gate(redis, "me")
    first = await reserve(gate)
    second = asyncio.create_task(reserve(gate))
    await waits(redis)

    second.cancel()
    await asyncio.wait([second])

    await waits(redis, 0)
    await gate.settle(first, OK)
    assert not await redis.exists(keys.gate_calls("sonnet"))


async def test_who_would_wait_for_too_long_is_told_so_at_once(redis: Any) -> None:
    slow = Pool("sonnet", Limits(requests=6, input=600_000, output=600_000, in_flight=10))
    gate = Gate(redis, "me")
    first = await reserve(gate, slow)
    waiting = [asyncio.create_task(reserve(gate, slow)) for _ in range(3)]
    await waits(redis, 3)

    with pytest.raises(NoRoomYet) as caught:
        await gate.reserve(slow, CALL, patience=25)

    assert 25 < caught.value.seconds < 35, "ten seconds for each of those before it"
    assert not caught.value.outage
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await gate.settle(first, OK)


async def test_who_has_waited_for_too_long_gives_its_place_up(redis: Any) -> None:
    gate = Gate(redis, "me")
    first = await reserve(gate)

    with pytest.raises(NoRoomYet):
        await gate.reserve(POOL, CALL, patience=0.05)

    await waits(redis, 0)
    await gate.settle(first, OK)


async def test_who_has_waited_for_too_long_hears_how_things_are_by_then(
    redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(redis, "me")
    first = await reserve(gate)
    asked, enter = [], gate._enter

    async def enter_before_the_pause(*call: Any) -> Any:
        asked.append(await enter(*call))
        if len(asked) == 1:
            await gate.settle(first, Spent("busy", Used(), retry_after=40))
        return asked[-1]

    monkeypatch.setattr(gate, "_enter", enter_before_the_pause)
    with pytest.raises(NoRoomYet) as caught:
        await gate.reserve(POOL, CALL, patience=0.05)

    assert asked[0][1] < 50, "milliseconds"
    assert 35 < caught.value.seconds <= 40
    assert len(asked) == 2


async def test_who_leaves_waits_no_longer(redis: Any) -> None:
    gate, leaving = Gate(redis, "me"), asyncio.Event()
    first = await reserve(gate)
    second = asyncio.create_task(gate.reserve(POOL, CALL, leaving=leaving))
    await waits(redis)

    leaving.set()

    with pytest.raises(NoRoomYet):
        await second
    await gate.settle(first, OK)


async def test_a_failing_provider_is_an_outage(redis: Any) -> None:
    gate = Gate(redis, "me")

    async def fail_until_nobody_may_call() -> None:
        while True:  # on a slow machine it may be time for a try again
            await gate.settle(await gate.reserve(POOL, CALL, patience=0.01), Spent("down", Used()))

    with pytest.raises(NoRoomYet) as caught:
        await fail_until_nobody_may_call()

    assert caught.value.outage
    assert 0 < caught.value.seconds <= 0.25


async def test_headers_are_told_when_they_are_news(redis: Any) -> None:
    gate = Gate(redis, "me")
    passed = await reserve(gate)
    told: list[Item] = []
    tell = gate.commands.tell

    async def noted(pool: Pool, *news: Item) -> Any:
        told.extend(news)
        return await tell(pool, *news)

    gate.commands.tell = noted  # type: ignore[method-assign]
    plenty = Headroom({"requests": 50}, {"requests": 49})
    scarce = Headroom({"requests": 50}, {"requests": 1})
    for headroom in (plenty, plenty, scarce, scarce, Headroom({"requests": 40}, {"requests": 39})):
        gate.observe(passed, headroom)

    async def both() -> bool:
        return len(told) >= 2

    await until(both)
    assert [item["limit"]["requests"] for item in told] == [50, 40], "and not twice within a quarter of a second"
    await gate.settle(passed, OK)


async def test_after_an_outage_the_beginning_of_an_answer_is_told_at_once(redis: Any) -> None:
    """Others wait for it: so many may call as have been answered."""
    where = Pool("sonnet", Limits(6000, 600_000, 600_000, 50))
    async with asyncio.timeout(30), hearing(redis, Gate(redis, "me")) as gate:
        for _ in range(5):
            await gate.settle(await gate.reserve(where, CALL), Spent("down", Used()))
        canary = await gate.reserve(where, CALL)
        gate.observe(canary, Headroom())
        following = [await gate.reserve(where, CALL) for _ in range(7)]
        one_more = asyncio.create_task(gate.reserve(where, CALL))
        await until(lambda: gate._crowded["sonnet"] == 2)
        gate.observe(following[-1], Headroom())
        await one_more
        for each in (canary, *following, await one_more):
            await gate.settle(each, OK)


async def test_a_cancelled_call_whose_command_comes_late_is_given_back_when_it_is_granted(redis: Any) -> None:
    other = Gate(redis, "other")
    first = await reserve(other)
    async with hearing(redis, Gate(redis, "me")) as gate:
        gate._pools["sonnet"] = POOL
        await gate.commands.enter("late", POOL, CALL, "")  # nobody waits for its answer any more

        await other.settle(first, OK)

        async def free() -> bool:
            return not await redis.exists(keys.gate_calls("sonnet"))

        await until(free)


async def test_a_cancelled_call_whose_command_comes_late_and_is_granted_at_once_is_found(
    redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(redis, "me")
    entering = asyncio.create_task(gate.reserve(POOL, CALL))
    entering.cancel()
    await asyncio.wait([entering])
    gate._pools["sonnet"] = POOL
    gate._doubts_until["sonnet"] = float("inf")
    await gate.commands.enter("late", POOL, CALL, "")
    await gate.keep()
    assert await redis.hkeys(keys.gate_calls("sonnet")) == ["late"], "it may only just have been granted"

    async def free() -> bool:
        await gate.keep()
        return not await redis.exists(keys.gate_calls("sonnet"))

    await until(free)


async def test_a_grant_of_a_call_that_has_gone_is_nobodys(redis: Redis) -> None:
    Gate(redis, "me").hear("call_1 12 0 1 1 1 another pool")


async def test_a_call_that_ends_while_redis_is_away_gives_its_place_back_after() -> None:
    with RedisServer() as server:
        redis = connect(server.url)
        gate = Gate(redis, "me")
        passed = await reserve(gate)
        await asyncio.to_thread(server.pause)
        ending = asyncio.create_task(gate.settle(passed, OK))
        await asyncio.wait([ending], timeout=10)
        await asyncio.to_thread(server.resume)

        async def free() -> bool:
            return bool(await redis.hlen(keys.gate_calls("sonnet")) == 0)

        await until(free)
        await close(redis)
