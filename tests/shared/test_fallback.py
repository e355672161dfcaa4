"""Calls at the gate while Redis is away, and what becomes of them in the books when it is back."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.redis_server import RedisServer
from shared import clock, keys
from shared.errors import NoRoomYet, StoreUnavailable
from shared.fallback import Fallback
from shared.gate import Gate
from shared.gate_news import ended
from shared.outage import Outage
from shared.pool import Asker, Call, Limits, Pool, Reservation, Spent, Used
from shared.redis_client import close, connect, ping
from tests.shared.gating import Gates, call, pool
from tests.waiting import until

POOL = Pool("sonnet", Limits(requests=60, input=600_000, output=600_000, in_flight=100))
"""A burst of six calls, then one a second; of a worker's own, one every two seconds."""
CALL = Call(Asker("assistant"), characters=300, max_output_tokens=100)
OK = Spent("ok", Used(1, 90, 50))


class Worker:
    """A gate whose Redis can go away."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.redis: Any = connect(server.url)
        self.gate = Gate(self.redis, "me")
        self.passed: list[Reservation] = []

    async def pass_all_there_is(self) -> None:
        """Nobody else passes for a while; and the workers have been counted."""
        while True:
            try:
                self.passed.append(await self.gate.reserve(POOL, CALL, patience=0.1))
            except NoRoomYet:
                break
        await self.gate.keep()

    def wants(self, count: int = 1, **how: Any) -> list["asyncio.Task[Reservation]"]:
        return [asyncio.create_task(self.gate.reserve(POOL, CALL, **how)) for _ in range(count)]

    async def waits(self, count: int) -> None:
        async def so_many() -> bool:
            return bool(await self.redis.hlen(keys.gate_waiting("sonnet")) == count)

        await until(so_many)

    async def kept_until(self, tasks: "list[asyncio.Task[Reservation]]") -> list[Reservation]:
        """As in a worker, it asks now and then; all of them pass."""
        while not all(task.done() for task in tasks):
            try:
                await self.gate.keep()
            except StoreUnavailable:
                assert self.gate._outage.since is not None
            await asyncio.wait(tasks, timeout=0.2)
        return [task.result() for task in tasks]

    async def back(self) -> None:
        async def answers() -> bool:
            try:
                await ping(self.redis)
            except StoreUnavailable:
                return False
            return True

        await until(answers)

    async def books_are_empty(self) -> None:
        async def empty() -> bool:
            await self.gate.keep()
            left = [await self.redis.hlen(key("sonnet")) for key in (keys.gate_calls, keys.gate_waiting)]
            return left == [0, 0]

        await until(empty)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    with RedisServer(data_folder=tmp_path, options={"appendfsync": "always"}) as server:
        made = Worker(server)
        yield made
        for task in [*made.gate._tasks, *made.gate._fallback._tasks]:
            task.cancel()
        await close(made.redis)


def ours(worker: Worker, reservation: Reservation) -> bool:
    """Whether it has passed by the worker's own budget."""
    return worker.gate._fallback.has(reservation.id)


@pytest.mark.parametrize("end", ["killed", "frozen"])
async def test_who_waits_in_line_passes_by_a_budget_of_its_own_and_is_in_the_books_once(
    worker: Worker, end: str
) -> None:
    await worker.pass_all_there_is()
    waiting = worker.wants(2)
    await worker.waits(2)

    await asyncio.to_thread(worker.server.kill if end == "killed" else worker.server.pause)
    away = clock.monotonic()
    passed = await worker.kept_until(waiting)

    assert clock.monotonic() - away > 2, "one every two seconds"
    assert all(ours(worker, each) for each in passed)
    await worker.gate.settle(passed[0], OK)
    await asyncio.to_thread(worker.server.start if end == "killed" else worker.server.resume)
    await worker.back()

    async def adopted() -> bool:
        return passed[1].id in await worker.redis.hkeys(keys.gate_calls("sonnet"))

    await until(adopted)
    for each in [passed[1], *worker.passed]:
        await worker.gate.settle(each, OK)
    await worker.books_are_empty()
    assert not worker.gate._fallback._endings


async def test_a_new_call_passes_in_its_turn(worker: Worker) -> None:
    await worker.pass_all_there_is()
    await asyncio.to_thread(worker.server.kill)

    entering = worker.wants()
    await until(lambda: worker.gate._outage.lasts)

    calls = worker.wants(2)
    order: list[int] = []
    for number, task in enumerate(calls):
        task.add_done_callback(lambda _, number=number: order.append(number))
    passed = await worker.kept_until([*calls, *entering])

    assert order == [0, 1]
    assert all(ours(worker, each) for each in passed)


async def test_who_still_waits_when_redis_is_back_goes_through_the_gate(worker: Worker) -> None:
    await worker.pass_all_there_is()
    waiting = worker.wants(8)
    await worker.waits(8)
    await asyncio.to_thread(worker.server.kill)
    await worker.kept_until(waiting[:1])

    await asyncio.to_thread(worker.server.start)
    await worker.back()
    passed = await worker.kept_until(waiting)

    ways = [ours(worker, each) for each in passed]
    assert ways[0]
    assert not ways[-1]
    for each in [*passed, *worker.passed]:
        await worker.gate.settle(each, OK)
    await worker.books_are_empty()


async def test_a_short_break_is_waited_for(worker: Worker) -> None:
    await worker.pass_all_there_is()
    for each in worker.passed:
        await worker.gate.settle(each, OK)
    await asyncio.to_thread(worker.server.restart)

    (passed,) = await worker.kept_until(worker.wants())

    assert not ours(worker, passed)


async def test_a_command_in_vain_while_redis_is_there_calls_nobody_off(worker: Worker) -> None:
    """It was this process that was held up for longer than a time-out."""
    await worker.pass_all_there_is()
    waiting = worker.wants(2)
    await worker.waits(2)

    with pytest.raises(StoreUnavailable), worker.gate._outage.noticing():
        raise StoreUnavailable("held up")
    await until(worker.gate._outage.over.is_set)
    passed = await worker.kept_until(waiting)

    assert not any(ours(worker, each) for each in passed)


async def test_who_does_not_know_how_many_others_live_waits_for_redis(worker: Worker) -> None:
    await ping(worker.redis)
    await asyncio.to_thread(worker.server.kill)
    waiting = worker.wants()
    await until(lambda: worker.gate._outage.lasts)
    await asyncio.wait(waiting, timeout=0.5)
    assert not waiting[0].done()

    await asyncio.to_thread(worker.server.start)

    (passed,) = await worker.kept_until(waiting)
    assert not ours(worker, passed)


async def test_who_leaves_or_is_cancelled_waits_no_longer(worker: Worker) -> None:
    await worker.pass_all_there_is()
    await asyncio.to_thread(worker.server.kill)
    leaving = asyncio.Event()
    head, cancelled, leaves = *worker.wants(2), *worker.wants(leaving=leaving)
    await until(lambda: worker.gate._outage.lasts)

    cancelled.cancel()
    leaving.set()
    passed = await worker.kept_until([head])

    assert ours(worker, passed[0])
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with pytest.raises(NoRoomYet):
        await leaves


async def nothing(*_: Any) -> None:
    pass


def outage() -> Outage:
    return Outage(nothing, lambda: None)


class Outside:
    """Calls that have passed while Redis was away, in a time that the test makes pass."""

    def __init__(self, gates: Gates) -> None:
        self.gates = gates

    async def adopt(self, reservation: Reservation, seconds_ago: float = 0) -> None:
        await self.gates.worker().commands.adopt(reservation, seconds_ago)

    async def leave(self, reservation: Reservation, spent: Spent) -> None:
        await self.gates.worker().commands.tell(reservation.pool, ended(reservation, spent, 0.5))

    async def levels(self, where: Pool) -> list[float]:
        seen = await self.gates.look(where)
        return [seen[name]["level"] for name in ("requests", "input", "output")]


def outside(where: Pool) -> Reservation:
    return Reservation("call_outside", where, call(), 300, 200, "")


async def test_it_is_debited_once_however_often_that_is_said(gates: Gates) -> None:
    calls, where = Outside(gates), pool()
    full = await calls.levels(where)
    passed = outside(where)

    await calls.adopt(passed)
    assert await calls.levels(where) == [full[0] - 1, full[1] - 300, full[2]]
    await calls.adopt(passed)
    assert await calls.levels(where) == [full[0] - 1, full[1] - 300, full[2]]
    assert await gates.in_flight(where) == {passed.id}

    for _ in range(2):
        await calls.leave(passed, Spent("ok", Used(1, 400, 250)))
    assert await calls.levels(where) == [full[0] - 1, full[1] - 400, full[2] - 250]
    await calls.adopt(passed)

    assert await gates.in_flight(where) == set(), "a command that comes late brings back no call that has ended"
    assert await calls.levels(where) == [full[0] - 1, full[1] - 400, full[2] - 250]


async def test_a_call_that_still_stands_in_line_leaves_it(gates: Gates) -> None:
    calls, where = Outside(gates), pool(in_flight=1)
    await gates.enter(where, call(), worker="other")
    waits = await gates.enter(where, call())
    assert await gates.waiting(where) == {waits.id}

    await calls.adopt(waits.reservation)

    assert await gates.waiting(where) == set()
    assert waits.id in await gates.in_flight(where)


async def test_a_call_that_was_granted_meanwhile_is_debited_once(gates: Gates) -> None:
    calls, where = Outside(gates), pool()
    full = await calls.levels(where)
    granted = await gates.enter(where, call())
    once = await calls.levels(where)
    assert once[0] == full[0] - 1

    await calls.adopt(granted.reservation)

    assert await calls.levels(where) == once
    await calls.leave(granted.reservation, Spent("ok", Used(1, 90, 50)))
    assert await gates.in_flight(where) == set()


async def test_a_grant_that_comes_after_the_call_has_passed_gives_nothing_back(worker: Worker) -> None:
    await worker.pass_all_there_is()
    await asyncio.to_thread(worker.server.kill)
    (passed,) = await worker.kept_until(worker.wants())
    await worker.gate.settle(passed, OK)

    worker.gate.hear(f"{passed.id} 0 0 1 1 1 sonnet")

    assert not worker.gate._tasks, "it would be said to have used nothing"


async def test_what_has_flowed_in_again_is_not_debited(gates: Gates) -> None:
    calls, where = Outside(gates), pool()
    full = await calls.levels(where)
    passed = outside(where)

    await calls.adopt(passed, seconds_ago=20)
    requests, tokens_in, tokens_out = await calls.levels(where)
    assert [requests, tokens_in] == full[:2]
    assert full[2] - 200 <= tokens_out < full[2], "its output was produced in the last seconds, as far as anybody knows"

    await calls.leave(passed, Spent("", Used(1, 300, 200)))
    assert (await calls.levels(where))[:2] == full[:2]


async def test_its_tenant_pays_for_it_at_its_end(gates: Gates) -> None:
    calls, where = Outside(gates), pool(output=60_000)
    passed = outside(where)
    await calls.adopt(passed)

    await calls.leave(passed, Spent("ok", Used(1, 300, 600)))

    its_next = await gates.enter(where, call())
    assert float(its_next.reservation.place) == pytest.approx(600 / 60_000)


async def test_empty_books_hold_no_more_than_a_tenth_of_a_minute(gates: Gates) -> None:
    """Redis that comes back empty: not all at once."""
    seen = await gates.look(pool())

    for name in ("requests", "input", "output"):
        assert 0 < seen[name]["level"] <= 0.1 * seen[name]["limit"]


async def test_an_old_count_of_workers_is_none() -> None:
    away = outage()
    fallback = Fallback(away, nothing, nothing)
    fallback.count(POOL, 3)
    line = fallback._line(POOL)

    away.since = line.counted + 9
    assert fallback._budget(line, POOL.limits, {}) is not None
    fallback.close_books()
    away.since = line.counted + 11
    assert fallback._budget(line, POOL.limits, {}) is None


async def test_just_after_an_outage_fewer_workers_are_counted_than_live() -> None:
    away = outage()
    fallback = Fallback(away, nothing, nothing)
    fallback.count(POOL, 8)

    away.ended = clock.monotonic()
    fallback.count(POOL, 1)
    assert fallback._line(POOL).living == 8

    away.ended -= 10
    fallback.count(POOL, 1)
    assert fallback._line(POOL).living == 1


async def test_a_breaker_that_was_open_stays_so() -> None:
    away = outage()
    fallback = Fallback(away, nothing, nothing)
    fallback.count(POOL, 1)
    fallback.shut(POOL, 30)
    line = fallback._line(POOL)
    away.since = clock.monotonic()

    opened = fallback._budget(line, POOL.limits, {})

    assert opened is not None
    assert 25 < opened.wait(Used(1, 1, 1), 0, away.since) < math.inf
