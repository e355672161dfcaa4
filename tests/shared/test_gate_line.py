"""What may pass when: room, turns, refusals and deaths, in a time that the test makes pass."""

from typing import Any

import pytest

from shared import keys
from shared.errors import RequestTooLarge
from shared.gate_news import begun
from shared.job import Priority
from shared.pool import Headroom, Spent, Used
from tests.shared.gating import Gates, call, pool


async def full(gates: Gates, where: Any) -> None:
    """The pool is known, and its buckets are full."""
    await gates.fill(where)


async def test_a_burst_passes_and_the_rest_follows_at_the_rate(gates: Gates) -> None:
    where = pool()
    await full(gates, where)

    entries = [await gates.enter(where, call()) for _ in range(80)]
    assert [entry.granted for entry in entries].index(False) == 61, "a tenth of a minute's worth, and one ahead"
    assert [entry.wait for entry in entries[59:61]] == [0, 0.1]
    await gates.later(1, where)
    assert len(await gates.in_flight(where)) == 71, "then one every tenth of a second"
    await gates.later(1, where)
    assert len(await gates.in_flight(where)) == 80


async def test_no_more_passes_than_flows_in_whoever_asks(gates: Gates) -> None:
    """663 tokens once went through a limit of 100 under concurrency (litellm issue 18730)."""
    where = pool(input=1000)
    for worker in range(8):
        for _ in range(5):
            await gates.enter(where, call(input=60), worker=f"w{worker}")
    await gates.later(60, where)

    assert len(await gates.in_flight(where)) * 60 <= 1000 + 100, "a minute's worth and the burst"


@pytest.mark.parametrize(("dimension", "limits"), [("input", {"input": 6000}), ("requests", {"requests": 60})])
async def test_each_dimension_holds_calls_back(gates: Gates, dimension: str, limits: dict[str, int]) -> None:
    where = pool(**limits)
    await full(gates, where)
    for _ in range(40):
        await gates.enter(where, call(input=100))
    before = len(await gates.in_flight(where))
    assert 5 <= before <= 7

    await gates.later(10, where)

    assert len(await gates.in_flight(where)) - before == pytest.approx(10, abs=1), "one a second"


async def test_a_call_larger_than_a_minute_is_refused_at_once(gates: Gates) -> None:
    """Elsewhere it hangs for ever (llama_index issue 23202)."""
    where = pool(input=20_000)
    with pytest.raises(RequestTooLarge, match="50001 input tokens, but sonnet allows 20000"):
        await gates.worker().reserve(where, call(input=50_000))
    entry = await gates.enter(where, call(input=30_000))
    assert entry.reservation.input_tokens == 20_000, "as long as nobody knows what its characters are in tokens"

    await gates.ends(entry, input=30_000)

    with pytest.raises(RequestTooLarge, match="30000 input tokens"):
        await gates.worker().reserve(where, call(input=30_000))


async def test_a_call_larger_than_a_bucket_passes_a_full_one(gates: Gates) -> None:
    where = pool(input=20_000)
    await full(gates, where)

    assert (await gates.enter(where, call(input=15_000))).granted
    behind = await gates.enter(where, call(input=100))
    assert not behind.granted
    await gates.later(38, where)
    assert behind.id not in await gates.in_flight(where), "it is paid for by those who come after"
    await gates.later(5, where)
    assert behind.id in await gates.in_flight(where)


async def test_the_very_first_call_passes(gates: Gates) -> None:
    """Reserving blocks it elsewhere (litellm issue 29193)."""
    where = pool(requests=1, input=500, output=100)
    first = await gates.enter(where, call(input=10, output=10))
    await gates.later(1, where)
    assert first.id in await gates.in_flight(where)


async def test_a_large_call_is_not_passed_by_small_ones(gates: Gates) -> None:
    where = pool(input=60_000)
    await full(gates, where)
    await gates.enter(where, call(input=5_000))
    large = await gates.enter(where, call("big", input=5_500))
    small = [await gates.enter(where, call("small", input=100)) for _ in range(30)]
    assert not large.granted

    for _ in range(60):
        await gates.later(0.1, where)
        flying = await gates.in_flight(where)
        if large.id in flying:
            break

    assert large.id in flying
    assert sum(entry.id in flying for entry in small) <= 1, "those whose turn was before it"


async def test_settling_gives_back_what_was_not_used(gates: Gates) -> None:
    where = pool(input=6000)
    await full(gates, where)
    first = await gates.enter(where, call(input=450))
    behind = await gates.enter(where, call(input=450))
    assert not behind.granted

    await gates.leave(first, Spent("ok", Used(1, 20, 50)))

    assert behind.id in await gates.in_flight(where)


async def test_it_learns_what_calls_of_an_agent_cost(gates: Gates) -> None:
    where = pool()
    for _ in range(30):
        entry = await gates.enter(where, call(input=300, output=4000, agent="chatty"))
        await gates.later(1, where)
        await gates.leave(entry, Spent("ok", Used(1, 200, 1500)))
    await gates.later(60, where)

    learned = await gates.enter(where, call(input=300, output=4000, agent="chatty"))
    other = await gates.enter(where, call(input=300, output=4000, agent="terse"))

    assert learned.reservation.input_tokens == pytest.approx(200, abs=2)
    assert learned.reservation.output_tokens == pytest.approx(1500, abs=2)
    assert other.reservation.output_tokens == 500, "what one agent does says nothing about another"


async def test_cache_reads_are_no_input_tokens(gates: Gates) -> None:
    where = pool(input=6000)
    await full(gates, where)
    entry = await gates.enter(where, call(input=450))
    await gates.leave(entry, Spent("ok", Used(1, 0, 0)))

    assert (await gates.enter(where, call(input=450))).granted


async def test_headers_clamp_the_budget_and_teach_the_limit(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    answered = await gates.enter(where, call())
    await gates.worker().commands.tell(where, begun(answered.id, Headroom({"requests": 60}, {"requests": 0})))
    await gates.ends(answered)

    for _ in range(10):
        await gates.enter(where, call())
    await gates.later(5, where)

    assert len(await gates.in_flight(where)) == pytest.approx(5, abs=1), "one a second, as the provider says"


async def test_a_header_that_says_nothing_sensible_is_not_learned(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    await gates.worker().commands.tell(where, begun("", Headroom({"requests": 0}, {})))
    assert (await gates.enter(where, call())).granted


async def test_a_429_is_a_statement_about_a_bucket_and_costs_no_place(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    refused = await gates.enter(where, call("a"))
    busy = Spent("busy", Used(), headroom=Headroom({"input": 600_000}, {"input": 0}), retry_after=3)
    await gates.leave(refused, busy)
    others = [await gates.enter(where, call(tenant)) for tenant in "abc"]

    again = await gates.enter(where, call("a", place=refused.reservation.place))
    assert not again.granted, "no matter who asks"
    assert not any(entry.granted for entry in others)
    await gates.later(1.85, where)
    assert await gates.in_flight(where) == set()
    await gates.later(1.25, where)  # the three seconds are rounded up

    flying = await gates.in_flight(where)
    assert again.id in flying, "it kept its place"


async def test_a_call_that_is_refused_again_waits_for_as_long_as_it_is_told(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    busy = Spent("busy", Used(), headroom=Headroom({}, {"input": 0}), retry_after=3)
    again = await gates.enter(where, call())
    for _ in range(2):
        await gates.leave(again, busy)
        again = await gates.enter(where, call(place=again.reservation.place))
        await gates.later(2.85, where)
    assert await gates.in_flight(where) == set()
    await gates.later(0.25, where)
    assert again.id in await gates.in_flight(where)


async def test_a_429_that_says_no_time_is_no_reason_to_call_at_once(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    refused = await gates.enter(where, call())
    await gates.leave(refused, Spent("busy", Used(), headroom=Headroom({}, {"input": 0}), retry_after=0))
    assert (await gates.enter(where, call(place=refused.reservation.place))).wait == 0.1


async def test_a_429_that_names_no_bucket_holds_everybody_back(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    refused = await gates.enter(where, call())
    await gates.leave(refused, Spent("busy", Used(), retry_after=7))

    behind = await gates.enter(where, call(), worker="w2")
    await gates.later(6.9, where)
    assert behind.id in await gates.waiting(where)
    await gates.later(0.6, where)
    assert behind.id in await gates.in_flight(where)


async def test_a_429_without_a_time_is_an_outage(gates: Gates) -> None:
    """A cap on spending says neither when to come again nor what is used up."""
    where = pool()
    await full(gates, where)
    refused = await gates.enter(where, call())
    await gates.leave(refused, Spent("busy", Used()))
    for _ in range(5):
        await gates.enter(where, call())
    await gates.later(3, where)

    assert len(await gates.in_flight(where)) == 1, "one tries for all"


async def test_a_wrong_belief_in_bursts_is_given_up(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    for _ in range(3):
        entry = await gates.enter(where, call())
        told = Headroom({"requests": 600}, {"requests": 0})
        await gates.leave(entry, Spent("busy", Used(), headroom=told, retry_after=0.1))
        await gates.later(60, where)

    granted = [(await gates.enter(where, call())).granted for _ in range(30)]
    assert granted.count(True) <= 12, "about an eighth of what was believed"


async def test_calls_in_flight_are_limited_and_free_their_place(gates: Gates) -> None:
    where = pool(in_flight=2)
    await full(gates, where)
    first, _, third = [await gates.enter(where, call()) for _ in range(3)]
    await gates.later(5, where)
    assert third.id in await gates.waiting(where)

    await gates.ends(first)
    assert third.id in await gates.in_flight(where)


async def test_what_a_dead_worker_had_becomes_free_and_its_tokens_stay_spent(gates: Gates) -> None:
    """A key stays locked until Redis is reset elsewhere (litellm issues 20256, 17323, 28160)."""
    where = pool(in_flight=1)
    await full(gates, where)
    await gates.enter(where, call(), worker="dead")
    waiting = await gates.enter(where, call(), worker="dead")
    living = await gates.enter(where, call(), worker="w1")
    await gates.later(12, where)

    assert await gates.in_flight(where) == {living.id}
    assert waiting.id not in await gates.waiting(where)


async def test_a_call_is_settled_once(gates: Gates) -> None:
    where = pool(requests=60)
    await full(gates, where)
    first, *rest = [await gates.enter(where, call()) for _ in range(8)]
    before = sum(entry.granted for entry in rest)
    for _ in range(5):
        await gates.leave(first, Spent(used=Used()))

    assert len(await gates.in_flight(where)) == before + 1, "one place was given back, not five"


async def test_entering_again_after_a_lost_answer_is_the_same_call(gates: Gates) -> None:
    where = pool(requests=60)
    await full(gates, where)
    answers = [await gates.enter(where, call(), call_id="call-1") for _ in range(5)]
    assert all(entry.granted for entry in answers)
    assert await gates.in_flight(where) == {"call-1"}
    for _ in range(10):
        await gates.enter(where, call(), call_id="call-2" if len(await gates.waiting(where)) else "")
    assert len(await gates.waiting(where)) <= 1 or "call-2" in await gates.waiting(where)


async def test_nobody_waits_for_anothers_backlog(gates: Gates) -> None:
    where = pool(requests=60)
    await full(gates, where)
    for _ in range(100):
        await gates.enter(where, call("flood"))
    late = await gates.enter(where, call("small"))
    assert not late.granted

    await gates.later(2.1, where)

    assert late.id in await gates.in_flight(where)


async def test_tenants_share_by_weight(gates: Gates) -> None:
    where = pool(requests=60)
    await full(gates, where)
    tenants: dict[str, str] = {}
    for _ in range(60):
        for tenant, weight in (("one", 1.0), ("three", 3.0)):
            tenants[(await gates.enter(where, call(tenant, weight=weight))).id] = tenant
    before = await gates.in_flight(where)
    await gates.later(40, where)

    served = [tenants[each] for each in await gates.in_flight(where) - before]
    assert served.count("three") / served.count("one") == pytest.approx(3, rel=0.15)


async def test_classes_share_16_to_4_to_1(gates: Gates) -> None:
    where = pool(requests=600)
    await full(gates, where)
    classes: dict[str, Priority] = {}
    for _ in range(250):
        for priority in Priority:
            classes[(await gates.enter(where, call(priority=priority))).id] = priority
    before = await gates.in_flight(where)
    await gates.later(21, where)

    served = [classes[each] for each in await gates.in_flight(where) - before]
    assert served.count(Priority.HIGH) == pytest.approx(160, abs=8)
    assert served.count(Priority.STANDARD) == pytest.approx(40, abs=4)
    assert served.count(Priority.LOW) == pytest.approx(10, abs=3)


async def test_a_lone_class_gets_all(gates: Gates) -> None:
    """A priority limiter elsewhere caps a lone user at a quarter (litellm issue 19092)."""
    where = pool(requests=60)
    await full(gates, where)
    for _ in range(40):
        await gates.enter(where, call(priority=Priority.LOW))
    before = len(await gates.in_flight(where))
    await gates.later(20, where)

    assert len(await gates.in_flight(where)) - before == pytest.approx(20, abs=1)


async def test_who_was_away_saves_nothing_up(gates: Gates) -> None:
    where = pool(requests=60)
    await full(gates, where)
    for _ in range(60):
        await gates.enter(where, call("busy"))
    await gates.later(30, where)
    mine = [(await gates.enter(where, call("idle"))).id for _ in range(60)]
    before = await gates.in_flight(where)
    await gates.later(20, where)

    served = await gates.in_flight(where) - before
    assert sum(each in served for each in mine) == pytest.approx(10, abs=1), "half of what passes from now on"


async def test_failures_open_the_breaker_and_one_call_tries_for_all(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    for _ in range(5):
        await gates.leave(await gates.enter(where, call()), Spent("down", Used()))
    behind = [await gates.enter(where, call()) for _ in range(20)]
    assert not any(entry.granted for entry in behind)

    await gates.later(0.07, where)
    assert await gates.in_flight(where) == set()
    await gates.later(1, where)
    flying = await gates.in_flight(where)
    assert len(flying) == 1
    canary = next(entry for entry in behind if entry.id in flying)
    await gates.leave(canary, Spent("down", Used()))
    await gates.later(0.07, where)
    assert await gates.in_flight(where) == set(), "and again nobody calls"
    await gates.later(1, where)
    (second,) = await gates.in_flight(where)
    await gates.ends(next(entry for entry in behind if entry.id == second))
    assert len(await gates.in_flight(where)) == 8, "it starts slowly"
    for entry in behind:
        if entry.id in await gates.in_flight(where):
            await gates.ends(entry)
            break
    assert len(await gates.in_flight(where)) == 9, "one more with each success"


async def test_calls_that_fail_after_it_has_opened_say_nothing_new(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    flying = [await gates.enter(where, call()) for _ in range(30)]
    for entry in flying:
        await gates.leave(entry, Spent("down", Used()))
    canary = await gates.enter(where, call())
    await gates.later(1.5, where)
    await gates.ends(canary)

    await gates.leave(await gates.enter(where, call()), Spent("down", Used()))

    assert (await gates.look(where))["breaker"] == "closed", "one failure is none"


async def test_a_canary_whose_worker_died_is_replaced(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    for _ in range(5):
        await gates.leave(await gates.enter(where, call()), Spent("down", Used()))
    canary = await gates.enter(where, call(), worker="dead")
    await gates.later(2, where)
    assert await gates.in_flight(where) == {canary.id}
    other = await gates.enter(where, call())
    await gates.later(12, where)

    assert await gates.in_flight(where) == {other.id}


async def test_a_clock_that_goes_back_gives_nothing_away(gates: Gates) -> None:
    where = pool(requests=60)
    await full(gates, where)
    for _ in range(10):
        await gates.enter(where, call())
    before = len(await gates.in_flight(where))
    await gates.set_clock(gates.now - 3600)
    await gates.worker().commands.tell(where, begun("", Headroom()))
    assert len(await gates.in_flight(where)) == before
    await gates.later(2, where)
    assert len(await gates.in_flight(where)) == pytest.approx(before + 2, abs=1), "and holds nobody up"


async def test_nothing_is_left_of_calls_that_have_gone(gates: Gates) -> None:
    where = pool(requests=60)
    entries = [await gates.enter(where, call()) for _ in range(20)]
    for entry in entries[::2]:
        await gates.leave(entry, Spent(used=Used()))
    for entry in entries[1::2]:
        await gates.ends(entry)

    for key in (keys.gate_waiting, keys.gate_calls):
        assert not await gates.redis.exists(key(where.name))
    for name in ("high", "standard", "low"):
        assert not await gates.redis.exists(keys.gate_line(where.name, name))


async def test_at_most_a_tenth_of_the_calls_are_retries(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    for _ in range(10):
        assert not (await gates.enter(where, call(place="0"))).spent, "ten may be saved up"
    assert (await gates.enter(where, call(place="0"))).spent

    for _ in range(10):
        await gates.enter(where, call())

    assert not (await gates.enter(where, call(place="0"))).spent
    assert (await gates.enter(where, call(place="0"))).spent


async def test_while_nobody_may_call_the_breaker_alone_says_who_tries(gates: Gates) -> None:
    where = pool()
    await full(gates, where)
    for _ in range(5):
        await gates.leave(await gates.enter(where, call()), Spent("down", Used()))

    again = [await gates.enter(where, call(place="0")) for _ in range(30)]

    assert not any(entry.spent for entry in again)


async def test_who_comes_back_to_the_head_of_the_line_is_next(gates: Gates) -> None:
    where = pool(in_flight=1)
    await full(gates, where)
    refused = await gates.enter(where, call("a"))
    await gates.leave(refused, Spent(used=Used()))
    first = await gates.enter(where, call("a"))
    await gates.enter(where, call("a"))
    again = await gates.enter(where, call("a", place=refused.reservation.place))
    assert not again.granted
    await gates.ends(first)
    assert await gates.in_flight(where) == {again.id}


@pytest.mark.parametrize("name", ["calls", "holders"])
async def test_a_key_that_was_evicted_comes_back_with_a_lifetime(gates: Gates, name: str) -> None:
    where = pool()
    await full(gates, where)
    await gates.enter(where, call())
    await gates.redis.delete(keys.gate(where.name)[name])
    await gates.later(1.1)
    entry = await gates.enter(where, call())
    assert await gates.redis.pttl(keys.gate(where.name)[name]) > 0
    assert (await gates.look(where))["in_flight"] == len(await gates.in_flight(where))
    await gates.ends(entry)
