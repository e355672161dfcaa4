"""What a worker tells the gate of its calls travels with its requests, and gets there whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.redis_server import RedisServer
from shared import keys
from shared.errors import RequestTooLarge, StoreUnavailable
from shared.gate import Gate
from shared.gate_inspector import GateInspector
from shared.gate_news import ended
from shared.pool import Asker, Call, Limits, Pool, Reservation, Spent, Used
from shared.redis_client import Redis, close, connect
from tests.waiting import until

POOL = Pool("sonnet", Limits(requests=6000, input=600_000, output=600_000, in_flight=4))
CALL = Call(Asker("assistant"), characters=300, max_output_tokens=100)
USED = Used(1, 60, 50)
"""Fewer tokens than are expected of an agent that nothing is known of: 90."""


class CountedGate(Gate):
    """Knows which functions it has called, and what each took along. Of the next `to_lose` the answers get lost."""

    def __init__(self, redis: Redis) -> None:
        self.answers: list[tuple[str, int]] = []
        super().__init__(redis, "me", lambda pool, recoveries: self.answers.append((pool, recoveries)))
        self.requests: list[tuple[str, list[str]]] = []
        self.to_lose = 0
        for name in ("enter", "tell", "keep"):
            setattr(self.commands, name, self._counted(name, getattr(self.commands, name)))

    def _counted(self, name: str, ask: Any) -> Any:
        async def asked(pool: Pool, *rest: Any) -> Any:
            news = rest if name == "tell" else rest[-1]
            self.requests.append((name, [item["id"] for item in news]))
            answer = await ask(pool, *rest)
            if self.to_lose:
                self.to_lose -= 1
                raise StoreUnavailable("its answer got lost")
            return answer

        async def asked_to_enter(call_id: str, *rest: Any) -> Any:
            self.requests.append((name, [item["id"] for item in rest[-1]]))
            return await ask(call_id, *rest)

        return asked_to_enter if name == "enter" else asked

    @property
    def tells(self) -> int:
        return [name for name, _ in self.requests].count("tell")


@pytest.fixture
async def gate(redis: Redis) -> AsyncIterator[CountedGate]:
    made = CountedGate(redis)
    yield made
    await made.close()


async def reserve(gate: Gate) -> Reservation:
    async with asyncio.timeout(30):
        return await gate.reserve(POOL, CALL)


async def a_while() -> None:
    """For what is not to happen."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, over.set)
    await over.wait()


async def in_flight(redis: Any) -> set[str]:
    return set(await redis.hkeys(keys.gate_calls("sonnet")))


async def test_the_end_of_a_turn_and_the_beginning_of_the_next_are_one_request(gate: CountedGate, redis: Redis) -> None:
    first = await reserve(gate)
    gate.answered(first, USED)
    second = await reserve(gate)

    assert gate.requests == [("enter", []), ("enter", [first.id])]
    assert await in_flight(redis) == {second.id}
    assert gate.answers == [("sonnet", 0)]


async def test_an_end_that_nothing_follows_is_told_all_the_same(gate: CountedGate, redis: Redis) -> None:
    passed = await reserve(gate)
    gate.answered(passed, USED)

    async def free() -> bool:
        return not await in_flight(redis)

    await until(free)
    assert gate.requests == [("enter", []), ("tell", [passed.id])]


async def test_several_ends_are_told_at_once(gate: CountedGate, redis: Redis) -> None:
    passed = [await reserve(gate) for _ in range(3)]
    for each in passed:
        gate.answered(each, USED)

    async def free() -> bool:
        return not await in_flight(redis)

    await until(free)
    assert gate.requests[3:] == [("tell", [each.id for each in passed])]
    assert gate.answers == [("sonnet", 0)] * 3


async def test_a_sign_of_life_takes_news_along(gate: CountedGate) -> None:
    first, second = await reserve(gate), await reserve(gate)
    gate.answered(first, USED)
    await gate.keep()
    assert gate.requests[2:] == [("keep", [first.id])]
    gate.answered(second, USED)


async def test_an_end_frees_its_place_for_the_call_that_it_comes_with(gate: CountedGate) -> None:
    passed = [await reserve(gate) for _ in range(POOL.limits.in_flight)]
    gate.answered(passed[0], USED)
    await reserve(gate)
    assert gate.requests[-1] == ("enter", [passed[0].id])


async def test_news_of_a_call_that_is_too_large_to_pass_are_kept_in_the_books(gate: CountedGate, redis: Redis) -> None:
    passed = await reserve(gate)
    gate.answered(passed, USED)
    huge = Call(Asker("assistant"), characters=100_000_000, max_output_tokens=100)
    with pytest.raises(RequestTooLarge):
        await gate.reserve(POOL, huge)

    assert gate.requests[1] == ("enter", [passed.id])
    assert not await in_flight(redis)
    assert (await GateInspector(redis).look(POOL)).get("speed"), "it has learned how fast an answer comes"
    again = await reserve(gate)
    assert again.input_tokens == 60, "and how many tokens it takes"
    assert gate.answers == [("sonnet", 0)]


async def test_a_request_that_is_broken_off_loses_nothing(gate: CountedGate, redis: Redis) -> None:
    passed = await reserve(gate)
    gate.answered(passed, USED)
    entering = asyncio.create_task(gate.reserve(POOL, CALL))
    await asyncio.sleep(0)  # it has been sent, or is about to be
    entering.cancel()
    await asyncio.wait([entering])

    async def free() -> bool:
        return not await in_flight(redis)

    await until(free)


async def test_the_same_news_twice_count_once(redis: Redis) -> None:
    gate = Gate(redis, "me")
    passed, other = await reserve(gate), await reserve(gate)
    item = ended(passed, Spent("ok", USED), 0.5)
    await gate.commands.tell(POOL, item, item)
    await gate.commands.tell(POOL, item)
    assert await in_flight(redis) == {other.id}
    seen = await GateInspector(redis).look(POOL)
    assert (seen["requests"]["used"], seen["input"]["used"]) == (2, USED.input + other.input_tokens)


async def test_news_whose_answer_got_lost_are_told_again(gate: CountedGate, redis: Redis) -> None:
    passed, gate.to_lose = await reserve(gate), 1
    gate.answered(passed, USED)
    await until(lambda: bool(gate.answers))

    assert [taken for _, taken in gate.requests if taken] == [[passed.id]] * 2
    assert gate.answers == [("sonnet", 0)], "one call has been answered"
    assert (await GateInspector(redis).look(POOL))["input"]["used"] == USED.input


async def test_what_comes_after_news_that_have_travelled_waits_for_a_request_of_its_own(gate: CountedGate) -> None:
    """And is not told as soon as the others would have been."""
    first, second = await reserve(gate), await reserve(gate)
    gate.answered(first, USED)
    await gate.keep()
    gate._news.tell(POOL, ended(second, Spent("ok", USED), 0.5), within=3600)
    await a_while()
    assert [taken for _, taken in gate.requests if taken] == [[first.id]]


async def test_what_cannot_be_told_while_redis_is_away_is_told_after(tmp_path: Path) -> None:
    with RedisServer(data_folder=tmp_path, options={"appendfsync": "always"}) as server:
        redis = connect(server.url)
        gate = CountedGate(redis)
        passed = await reserve(gate)
        await asyncio.to_thread(server.kill)
        gate.answered(passed, USED)
        await until(lambda: gate.requests.count(("tell", [passed.id])) >= 2)
        assert gate.answers == []
        await asyncio.to_thread(server.start)

        await until(lambda: gate.answers == [("sonnet", 0)])
        assert not await in_flight(redis)
        await gate.close()
        await close(redis)


async def test_a_worker_that_stops_tells_what_it_had_left_for_later(redis: Redis) -> None:
    gate = Gate(redis, "me")
    passed = await reserve(gate)
    gate.answered(passed, USED)
    await gate.close()
    assert not await in_flight(redis)


async def test_a_worker_stops_whatever_becomes_of_its_news(gate: CountedGate, redis: Redis) -> None:
    other = Pool("haiku", POOL.limits)
    passed = await reserve(gate)
    gate.answered(passed, USED)
    gate._news.tell(other, {"id": "that is all"}, within=3600)
    await gate.close()
    assert not await in_flight(redis)


async def test_a_worker_that_stops_while_redis_is_away_does_stop() -> None:
    with RedisServer() as server:
        redis = connect(server.url)
        gate = CountedGate(redis)
        passed = await reserve(gate)
        await asyncio.to_thread(server.stop)
        gate.answered(passed, USED)
        await until(lambda: len(gate.requests) > 1)
        async with asyncio.timeout(30):
            await gate.close()
        tried = gate.tells
        await a_while()
        assert gate.tells == tried, "it would go on without the worker"
        await close(redis)
