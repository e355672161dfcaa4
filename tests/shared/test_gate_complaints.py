"""What people complain of in other limiters, each by its issue; those that are about one rule of the line stand with it
in test_gate_line.py."""

import asyncio
from typing import Any

import pytest

from shared import keys
from shared.gate import Gate
from shared.job import Priority
from shared.pool import Headroom, Spent, Used
from shared.redis_client import Redis, close, connect
from tests.shared.gating import Entry, Gates, call, pool


async def full(gates: Gates, where: Any) -> None:
    """The pool is known, and its buckets are full."""
    await gates.later(0.05, where)
    await gates.later(60)


async def starts(gates: Gates, where: Any, seconds: float, waiting: set[str]) -> dict[str, float]:
    """When each of these calls passes, of those that do within so much time."""
    passed: dict[str, float] = {}
    until = gates.now + seconds
    while gates.now < until:
        await gates.later(0.05, where)
        for call_id in await gates.in_flight(where) & waiting - passed.keys():
            passed[call_id] = gates.now
    return passed


def most_at_once(times: Any, span: float) -> int:
    """How many of these times lie within one span of so many seconds, at most."""
    ordered = sorted(times)
    return max(sum(start <= other < start + span for other in ordered) for start in ordered)


async def refused(gates: Gates, where: Any, count: int, spent: Spent) -> set[str]:
    """So many calls in flight, all refused at one instant; they ask again at once. The ids of their second attempts."""
    entries = [await gates.enter(where, call()) for _ in range(count)]
    await gates.later(5, where)
    assert await gates.in_flight(where) == {entry.id for entry in entries}
    for entry in entries:
        await gates.leave(entry, spent)
    return {(await gates.enter(where, call(place=entry.reservation.place))).id for entry in entries}


async def test_twenty_that_were_refused_do_not_come_back_at_one_instant(gates: Gates) -> None:
    """Nineteen of twenty retries came at the same instant (hermes-agent issue 109234)."""
    where = pool()
    await full(gates, where)
    told = Headroom({"requests": 600}, {"requests": 0})
    again = await refused(gates, where, 20, Spent("busy", Used(), headroom=told, retry_after=3))

    passed = await starts(gates, where, 10, again)

    assert len(passed) >= 10, "some may be kept back for longer, since there can be too many retries"
    assert most_at_once(passed.values(), 0.4) <= 5, "at the pace of the budget, ten a second"


async def test_twenty_that_were_told_to_stay_away_do_not_come_back_at_one_instant(gates: Gates) -> None:
    """The same (hermes-agent issue 109234), when the 429 does not say what is used up, as a gateway's own."""
    where = pool()
    await full(gates, where)
    again = await refused(gates, where, 20, Spent("busy", Used(), retry_after=3))
    asked = gates.now

    passed = await starts(gates, where, 10, again)
    assert len(passed) == 8, "the others follow as these succeed"
    assert min(passed.values()) >= asked + 3


async def test_twenty_that_met_a_failing_provider_do_not_come_back_at_one_instant(gates: Gates) -> None:
    """The same (hermes-agent issue 109234), after an outage: one tries, and the others follow as it succeeds."""
    where = pool()
    await full(gates, where)
    again = await refused(gates, where, 20, Spent("down", Used()))

    passed = await starts(gates, where, 5, again)
    assert len(passed) == 1


async def test_a_place_that_becomes_free_wakes_one_sleeper(gates: Gates) -> None:
    """All sleepers were woken for it (bullmq issue 909)."""
    where = pool(in_flight=1)
    await full(gates, where)
    first = await gates.enter(where, call())
    waiting = [await gates.enter(where, call(), worker=f"w{number % 10}") for number in range(100)]
    async with gates.redis.pubsub(ignore_subscribe_messages=True) as ear:
        await ear.psubscribe(keys.GRANTS + "*")
        assert await ear.get_message(timeout=5) is None, "the answer to the subscription"
        await gates.ends(first)
        await gates.redis.publish(keys.GRANTS + "end", "that is all")

        heard = [(await ear.get_message(timeout=5))["data"].split(" ")[0] for _ in range(2)]

    assert heard == [waiting[0].id, "that"]


@pytest.mark.parametrize("others", [0, 1, 3])
async def test_fair_shares_leave_nothing_of_the_budget_unused(gates: Gates, others: int) -> None:
    """Fairness was bought with under-use: each group had its share, whether it needed it or not (bull issue 1540)."""
    where = pool(requests=60)
    await full(gates, where)
    entries: list[Entry] = [await gates.enter(where, call("flood", priority=Priority.LOW)) for _ in range(100)]
    before = await gates.in_flight(where)
    for _ in range(8):  # the others come now and then, and take less than their share
        for number in range(others):
            entries.append(await gates.enter(where, call(f"tenant-{number}", weight=50)))
        await gates.later(5, where)

    passed = len(await gates.in_flight(where) - before)
    assert passed == pytest.approx(40, abs=1), "one a second, whoever asks"
    if others:
        rest = {entry.id for entry in entries[100:]}
        assert len(rest & await gates.in_flight(where)) >= 7 * others, "and the others had theirs"


async def test_many_workers_at_the_same_moment_do_not_pass_more_than_there_is(redis: Redis, redis_server: Any) -> None:
    """663 tokens passed a limit of 100 under concurrency (litellm issue 18730)."""
    connections = [connect(redis_server.url) for _ in range(20)]
    where = pool(requests=6000, input=100, output=60_000)
    wanted = call(input=13)
    answers = await asyncio.gather(
        *(
            Gate(connection, f"w{number}")._enter(f"call_{number}_{each}", where, wanted, "")
            for number, connection in enumerate(connections)
            for each in range(10)
        )
    )
    granted = sum(answer[0] == "granted" for answer in answers)
    try:
        assert granted == 1, "a bucket holds a tenth of a minute's worth, which is less than one call"
    finally:
        for connection in connections:
            await close(connection)
