"""What opens and closes the breaker, and what says nothing: calls that began before."""

import pytest

from shared import keys
from shared.gate_news import begun, ended
from shared.pool import Headroom, Pool, Spent, Used
from tests.shared.gating import Entry, Gates, call, pool

DOWN = Spent("down", Used())


async def opened(gates: Gates, where: Pool, worker: str = "w1") -> Entry:
    """The breaker has opened, and this call is the one that tries, by now."""
    for _ in range(5):
        await gates.leave(await gates.enter(where, call()), DOWN)
    canary = await gates.enter(where, call(), worker=worker)
    await gates.later(2, where)
    assert canary.id in await gates.in_flight(where)
    return canary


async def state(gates: Gates, where: Pool) -> str:
    return str((await gates.look(where))["breaker"])


@pytest.mark.parametrize("ending", [DOWN, Spent("ok", Used(1, 90, 50))])
async def test_how_a_call_ends_that_began_before_says_nothing(gates: Gates, ending: Spent) -> None:
    where = pool()
    await gates.fill(where)
    old = [await gates.enter(where, call()) for _ in range(6)]
    canary = await opened(gates, where)
    for entry in old:
        await gates.leave(entry, ending)
        await gates.later(0.1, where)
        assert await state(gates, where) == "half"
    await gates.ends(canary)
    assert await state(gates, where) == "closed"


async def test_several_at_once_that_met_a_cap_on_spending_are_one_event(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    for entry in [await gates.enter(where, call()) for _ in range(8)]:
        await gates.leave(entry, Spent("busy", Used()))

    assert (await gates.look(where))["shut_ms"] <= 1250


async def test_it_closes_as_soon_as_the_one_that_tries_is_being_answered(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    canary = await opened(gates, where)
    for _ in range(10):
        await gates.enter(where, call())
    await gates.later(30, where, step=0.5)
    assert await gates.in_flight(where) == {canary.id}

    await gates.worker().commands.tell(where, begun(canary.id, Headroom({"requests": 600}, {"requests": 599})))

    assert len(await gates.in_flight(where)) == 8


async def test_the_window_grows_when_an_answer_begins_and_once_for_each(gates: Gates) -> None:
    where = pool(in_flight=50)
    await gates.fill(where)
    await gates.ends(await opened(gates, where))
    before, entry = (await gates.look(where))["window"], await gates.enter(where, call())

    await gates.worker().commands.tell(where, begun(entry.id, Headroom({"requests": 600}, {"requests": 599})))
    assert (await gates.look(where))["window"] == before + 1

    await gates.ends(entry)
    assert (await gates.look(where))["window"] == before + 1


async def test_an_end_that_is_told_several_times_is_one_success(gates: Gates) -> None:
    where = pool(in_flight=50)
    await gates.fill(where)
    await gates.ends(await opened(gates, where))
    await gates.later(0.1, where)
    before, entry = (await gates.look(where))["window"], await gates.enter(where, call())
    for _ in range(10):
        await gates.ends(entry)

    assert (await gates.look(where))["window"] == before + 1


async def test_whoever_fails_comes_again_in_place_of_a_leader_that_would_come_too_late(gates: Gates) -> None:
    """The leader looks after half a second, as long as one tries: nobody would try when it is time."""
    where = pool()
    await gates.fill(where)
    canary = await opened(gates, where, worker="w2")
    assert (await gates.enter(where, call(), worker="w1")).leads
    assert not (await gates.enter(where, call(), worker="w3")).leads

    next_ms, leads, *_ = await gates.worker("w2").commands.tell(where, ended(canary.reservation, DOWN, 0.5))

    assert leads
    assert next_ms < 200


async def test_who_waits_and_is_the_one_that_tries_is_told_so(gates: Gates) -> None:
    """Its worker tells at once that the answer begins: all others wait for that."""
    where = pool()
    await gates.fill(where)
    async with gates.redis.pubsub(ignore_subscribe_messages=True) as ear:
        await ear.subscribe(keys.GRANTS + "w2")
        await ear.get_message(timeout=5)
        canary = await opened(gates, where, worker="w2")
        said = await ear.get_message(timeout=5)

    assert said["data"].split(" ")[:3] == [canary.id, "0", "1"]
    _, granted, *_ = await gates.worker("w2").commands.keep(where, [canary.id])
    assert granted[0][:3] == [canary.id, 0, 1]
