"""What is seen of a pool: what it holds, what was used, who waits, and for what."""

from collections import Counter
from typing import Any

import pytest

from shared import keys
from shared.gate_inspector import GateInspector
from shared.gate_news import begun
from shared.job import Priority
from shared.pool import Headroom, Pool, Spent, Used
from tests.shared.gating import Gates, call, pool


async def full(gates: Gates, where: Pool) -> None:
    """The pool is known, and its buckets are full."""
    await gates.fill(where)


async def used(gates: Gates, where: Pool) -> tuple[float, float, float]:
    """Requests, input and output tokens of the last minute."""
    seen = await gates.look(where)
    return seen["requests"]["used"], seen["input"]["used"], seen["output"]["used"]


async def broken(gates: Gates, where: Pool) -> None:
    """The breaker has just opened."""
    for _ in range(5):
        await gates.leave(await gates.enter(where, call()), Spent("down", Used()))


async def test_what_a_call_has_used_is_seen_for_a_minute(gates: Gates) -> None:
    where = pool()
    await gates.ends(await gates.enter(where, call(input=90)), input=70, output=40)
    assert await used(gates, where) == (1, 70, 40)

    await gates.later(50, where)
    assert await used(gates, where) == (1, 70, 40)
    await gates.later(21, where)
    assert await used(gates, where) == (0, 0, 0)


async def test_what_a_slot_in_part_holds_counts_in_part(gates: Gates) -> None:
    where = pool()
    await gates.set_clock(1_800_000_000)
    await gates.ends(await gates.enter(where, call()), input=100, output=40)
    await gates.set_clock(1_800_000_063)
    assert await used(gates, where) == pytest.approx((0.7, 70, 28))


async def test_minutes_add_up_slot_by_slot(gates: Gates) -> None:
    where = pool()
    for _ in range(150):
        await gates.ends(await gates.enter(where, call()), input=100, output=40)
        await gates.later(1, where)
    assert await used(gates, where) == pytest.approx((60, 6000, 2400), rel=0.03)


async def test_output_counts_as_it_is_drawn_and_is_exact_in_the_end(gates: Gates) -> None:
    where = pool()
    entry = await gates.enter(where, call(input=90, output=400))
    await gates.later(2, where)
    assert await used(gates, where) == pytest.approx((1, 90, 200), rel=0.02), (
        "100 tokens a second, unless it is learned"
    )
    reserved = await gates.look(where)
    assert reserved["output"]["reserved"] == pytest.approx(200, rel=0.02), "what is still to come"

    await gates.ends(entry, input=90, output=350)

    assert await used(gates, where) == pytest.approx((1, 90, 350))


async def test_a_call_that_the_provider_did_not_count_was_no_use(gates: Gates) -> None:
    where = pool()
    await gates.leave(await gates.enter(where, call()), Spent("down", Used()))
    assert await used(gates, where) == pytest.approx((0, 0, 0))


async def test_for_a_clock_that_goes_back_the_minute_goes_on(gates: Gates) -> None:
    where = pool()
    await gates.ends(await gates.enter(where, call()))
    await gates.set_clock(gates.now - 3600)
    assert await used(gates, where) == (1, 90, 50)
    await gates.later(75, where)
    assert await used(gates, where) == (0, 0, 0)


async def test_what_is_taken_for_calls_in_flight_is_reserved_until_they_end(gates: Gates) -> None:
    where = pool()
    first, second = await gates.enter(where, call(input=90)), await gates.enter(where, call(input=300, output=70))
    seen = await gates.look(where)
    assert [seen[name]["reserved"] for name in ("requests", "input", "output")] == [2, 390, 120]

    await gates.ends(first)
    seen = await gates.look(where)
    assert [seen[name]["reserved"] for name in ("requests", "input")] == [1, 300]

    await gates.ends(second, input=250)
    seen = await gates.look(where)
    assert [seen[name]["reserved"] for name in ("requests", "input", "output")] == [0, 0, 0]


async def test_refusals_are_counted_for_good_and_for_a_minute(gates: Gates) -> None:
    where = pool()
    for _ in range(3):
        await gates.leave(await gates.enter(where, call()), Spent("busy", Used(), retry_after=1))
        await gates.later(2, where)
    seen = await gates.look(where)
    assert (seen["refused"], seen["refused_lately"]) == (3, 3)
    assert seen["pace"] < 1

    await gates.later(70, where)
    seen = await gates.look(where)
    assert (seen["refused"], seen["refused_lately"]) == (3, 0)


async def test_a_limit_is_learned_or_configured(gates: Gates) -> None:
    where = pool()
    await gates.worker().commands.tell(where, begun("", Headroom({"input": 900_000}, {})))
    seen = await gates.look(where)
    assert [seen[name]["learned"] for name in ("requests", "input", "output")] == [False, True, False]
    assert (seen["input"]["limit"], seen["input"]["capacity"]) == (900_000, 15_000)
    assert "speed" not in seen, "nobody has been answered yet"

    entry = await gates.enter(where, call())
    await gates.later(1, where)
    await gates.ends(entry, output=80)
    assert (await gates.look(where))["speed"] == pytest.approx(0.08)


async def test_who_waits_is_counted_by_class_and_by_tenant(gates: Gates) -> None:
    where = pool(in_flight=1)
    passed = await gates.enter(where, call("acme"))
    lined_up = [
        await gates.enter(where, call(tenant, priority=priority))
        for tenant, priority in (("acme", Priority.LOW), ("acme", Priority.STANDARD), ("globex", Priority.STANDARD))
    ]

    seen = await GateInspector(gates.redis).look(where, "acme")
    assert seen["waiting"] == {"high": 0, "standard": 2, "low": 1}
    assert (seen["tenants"], seen["own"]) == (2, 2)
    assert (await GateInspector(gates.redis).look(where, "initech"))["own"] == 0

    await gates.leave(lined_up[0], Spent(used=Used()))  # it gives up
    await gates.ends(passed)  # it is the turn of the other tenant
    seen = await GateInspector(gates.redis).look(where, "acme")
    assert (seen["tenants"], seen["own"]) == (1, 1)


async def test_of_the_dead_nobody_waits(gates: Gates) -> None:
    where = pool(in_flight=1)
    await gates.enter(where, call("acme"), worker="w1")
    await gates.enter(where, call("gone"), worker="dead")
    assert (await gates.look(where))["tenants"] == 1

    await gates.later(12, where)

    assert (await gates.look(where))["tenants"] == 0
    assert not await gates.redis.exists(keys.gate_tenants(where.name))


async def test_a_backlog_says_how_long_it_may_take(gates: Gates) -> None:
    where = pool(requests=60)
    await full(gates, where)
    while len(await gates.waiting(where)) < 10:
        await gates.enter(where, call())
    seen = await gates.look(where)
    assert seen["expected_ms"] == {"high": 1000, "standard": pytest.approx(10_000), "low": pytest.approx(4000)}, (
        "beside ten of standard, one of low has to let pass four"
    )


async def test_during_an_outage_the_wait_is_until_somebody_tries(gates: Gates) -> None:
    where = pool()
    await broken(gates, where)
    assert (await gates.look(where))["expected_ms"]["high"] == pytest.approx(100, rel=0.3)


@pytest.mark.parametrize(
    ("limits", "wanted", "reason"),
    [
        ({"in_flight": 1}, call(), "in_flight"),
        ({"requests": 60}, call(), "requests"),
        ({"input": 6000}, call(input=400), "input_tokens"),
        ({"output": 1000}, call(output=400), "output_tokens"),
    ],
)
async def test_what_the_next_one_waits_for_is_named(
    gates: Gates, limits: dict[str, int], wanted: Any, reason: str
) -> None:
    where = pool(**limits)
    await full(gates, where)
    assert "held_up_by" not in await gates.look(where)
    while not await gates.waiting(where):
        await gates.enter(where, wanted)

    assert (await gates.look(where))["held_up_by"] == reason


async def test_an_outage_is_named_whoever_waits(gates: Gates) -> None:
    where = pool()
    await broken(gates, where)
    seen = await gates.look(where)
    assert (seen["breaker"], seen["held_up_by"]) == ("open", "breaker")
    assert seen["shut_ms"] == pytest.approx(100, rel=0.3)

    behind = await gates.enter(where, call())
    await gates.later(2, where)
    seen = await gates.look(where)
    assert (seen["breaker"], seen["held_up_by"], seen["shut_ms"]) == ("half", "breaker", 0), "one call tries"

    await gates.ends(behind)
    seen = await gates.look(where)
    assert seen["breaker"] == "closed"
    assert "held_up_by" not in seen


async def test_a_provider_that_asked_for_silence_is_named(gates: Gates) -> None:
    where = pool()
    await gates.leave(await gates.enter(where, call()), Spent("busy", Used(), retry_after=7))
    seen = await gates.look(where)
    assert (seen["breaker"], seen["held_up_by"]) == ("closed", "retry_after")
    assert seen["shut_ms"] == pytest.approx(7000)


async def test_to_look_changes_nothing(gates: Gates) -> None:
    where = pool(requests=60)
    while len(await gates.waiting(where)) < 3:
        await gates.enter(where, call())
    await gates.set_clock(gates.now + 30)  # a slot is over, and a call could pass

    before = await dumped(gates)
    await gates.look(where)

    assert await dumped(gates) == before


async def dumped(gates: Gates) -> Counter[str]:
    """Every key of the gate's, with what it holds."""
    names = [name async for name in gates.redis.scan_iter(match="sluice:gate:*")]
    script = "return redis.sha1hex(redis.call('DUMP', KEYS[1]))"
    return Counter([f"{name} {await gates.redis.eval(script, 1, name)}" for name in names])
