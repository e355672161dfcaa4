"""The gate's arithmetic, on a real server: what may start when, what a call really cost, what it learns."""

import asyncio
import itertools

import pytest

from local.redis_server import RedisServer
from shared import clock, keys
from shared.errors import RequestTooLarge
from shared.gate import Call, Gate, Limits, Pool, Reservation, Spent, Used
from shared.redis_client import Redis, connect
from tests.waiting import until

POOL = Pool("sonnet", Limits(requests=600, input=600_000, output=60_000, in_flight=1000))
SMALL = Call("assistant", characters=300, max_output_tokens=100)


def pool(**limits: int) -> Pool:
    return Pool("sonnet", Limits(**{"requests": 600, "input": 600_000, "output": 60_000, "in_flight": 1000} | limits))


async def reserve(redis: Redis, where: Pool, call: Call, times: int) -> list[Reservation]:
    gate = Gate(redis)
    return [await gate.reserve(where, call) for _ in range(times)]


async def test_a_burst_passes_and_the_rest_follows_at_the_rate(redis: Redis) -> None:
    booked = await reserve(redis, POOL, SMALL, 80)

    waits = [one.wait for one in booked]
    assert waits[:60] == [0] * 60, "a tenth of a minute's worth is there at once"
    gaps = [after - before for before, after in itertools.pairwise(waits)]
    assert waits == sorted(waits), "first come, first served"
    assert all(gap <= 0.101 for gap in gaps), "then one every tenth of a second, less what it took to ask"


async def test_no_more_is_booked_than_flows_in_whoever_asks(redis: Redis) -> None:
    """663 tokens once went through a limit of 100 under concurrency (litellm issue 18730)."""
    gates = [Gate(redis) for _ in range(8)]
    tight = pool(input=1000)
    call = Call("assistant", characters=200, max_output_tokens=1)

    booked = await asyncio.gather(*(gate.reserve(tight, call) for gate in gates for _ in range(5)))

    within_a_minute = sum(one.input_tokens for one in booked if one.wait < 60)
    assert within_a_minute <= 1000 + 100, "a minute's worth and the burst"


@pytest.mark.parametrize(("dimension", "limits"), [("input", {"input": 6000}), ("output", {"output": 6000})])
async def test_each_dimension_holds_calls_back(redis: Redis, dimension: str, limits: dict[str, int]) -> None:
    call = Call("assistant", characters=2000, max_output_tokens=600)

    booked = await reserve(redis, pool(**limits), call, 3)

    assert booked[0].wait == 0
    tokens = booked[1].input_tokens if dimension == "input" else booked[1].output_tokens
    assert booked[2].wait - booked[1].wait == pytest.approx(tokens / 100, abs=0.2)


async def test_a_call_larger_than_a_minute_is_refused_at_once(redis: Redis) -> None:
    """Elsewhere it hangs for ever (llama_index issue 23202)."""
    with pytest.raises(RequestTooLarge, match="30000 input tokens, but sonnet allows 20000"):
        await Gate(redis).reserve(pool(input=20_000), Call("assistant", characters=100_000, max_output_tokens=1))


async def test_the_very_first_call_passes(redis: Redis) -> None:
    """Reserving blocks it elsewhere (litellm issue 29193)."""
    (first,) = await reserve(redis, pool(requests=1, input=500, output=100), SMALL, 1)
    assert first.wait < 1


async def test_settling_gives_back_what_was_not_used(redis: Redis) -> None:
    gate, tight = Gate(redis), pool(output=6000)
    first = await gate.reserve(tight, Call("assistant", characters=300, max_output_tokens=500))
    behind = await gate.reserve(tight, Call("assistant", characters=300, max_output_tokens=500))
    assert behind.wait > 3

    await gate.settle(first, Spent(Used(1, 90, 10), prompt_tokens=90))
    await gate.settle(behind, Spent(Used()))

    again = await gate.reserve(tight, Call("assistant", characters=300, max_output_tokens=500))
    assert again.wait == 0


async def test_it_learns_what_calls_of_an_agent_cost(redis: Redis) -> None:
    gate = Gate(redis)
    call = Call("chatty", characters=1000, max_output_tokens=4000)
    for _ in range(30):
        booked = await gate.reserve(POOL, call)
        spent = Spent(Used(1, 200, 1500), prompt_tokens=200)
        await gate.settle(booked, spent)

    learned = await gate.reserve(POOL, call)
    other = await gate.reserve(POOL, Call("terse", characters=1000, max_output_tokens=4000))

    assert learned.input_tokens == 200
    assert learned.output_tokens == 1500
    assert other.output_tokens == 500, "what one agent does says nothing about another"


async def test_cache_reads_are_no_input_tokens(redis: Redis) -> None:
    gate, tight = Gate(redis), pool(input=6000)
    call = Call("assistant", characters=2000, max_output_tokens=1)
    booked = await gate.reserve(tight, call)
    await gate.settle(booked, Spent(Used(1, 0, 0), prompt_tokens=600))

    assert (await gate.reserve(tight, call)).wait == 0


async def test_a_429_holds_everybody_back_and_loses_no_place(redis: Redis) -> None:
    gate, other_worker = Gate(redis), Gate(redis)
    booked = await gate.reserve(POOL, SMALL)

    await gate.settle(booked, Spent(pause=7))

    assert 6 < (await other_worker.reserve(POOL, SMALL)).wait <= 7


async def test_headers_clamp_the_budget_and_teach_the_limit(redis: Redis) -> None:
    gate = Gate(redis)
    booked = await gate.reserve(POOL, SMALL)

    await gate.settle(booked, Spent(Used(1), limit={"requests": 60}, remaining={"requests": 0}))

    waits = [(await gate.reserve(POOL, SMALL)).wait for _ in range(3)]
    assert waits == pytest.approx([1, 2, 3], abs=0.3), "one a second from now on, as the provider says"


async def test_calls_in_flight_are_limited_and_free_their_place(redis: Redis) -> None:
    gate, narrow = Gate(redis), pool(in_flight=2)
    first, _second = [await gate.reserve(narrow, SMALL) for _ in range(2)]
    third = asyncio.create_task(gate.reserve(narrow, SMALL))
    await asyncio.wait([third], timeout=0.3)
    assert not third.done()

    await gate.settle(first, Spent(Used(1)))

    assert (await third).id != first.id
    assert await redis.zcard(keys.gate_calls("sonnet")) == 2


async def test_the_places_of_a_dead_worker_become_free(redis: Redis) -> None:
    """A key stays locked until Redis is reset elsewhere (litellm issues 20256, 17323, 28160)."""
    narrow = pool(in_flight=1)
    dead = await Gate(redis).reserve(narrow, SMALL)
    await redis.zadd(keys.gate_calls("sonnet"), {dead.id: 1})  # its lease lapses

    living = Gate(redis)
    booked = await living.reserve(narrow, SMALL)
    await living.settle(booked, Spent(Used(1)))
    assert await redis.zcard(keys.gate_calls("sonnet")) == 0


async def test_a_living_worker_keeps_its_places(redis: Redis) -> None:
    gate = Gate(redis)
    booked = await gate.reserve(POOL, SMALL)
    before = await redis.zscore(keys.gate_calls("sonnet"), booked.id)

    async def renewed() -> bool:
        await gate.renew()
        return await redis.zscore(keys.gate_calls("sonnet"), booked.id) > before

    await until(renewed)


async def test_a_settled_call_cannot_be_settled_twice(redis: Redis) -> None:
    gate, slow = Gate(redis), pool(requests=60)
    first, *_ = [await gate.reserve(slow, SMALL) for _ in range(6)]
    for _ in range(5):
        await gate.settle(first, Spent(Used()))

    waits = [(await gate.reserve(slow, SMALL)).wait for _ in range(2)]
    assert waits == pytest.approx([0, 1], abs=0.5), "one place was given back, not five"


async def seconds_until_ready(gate: Gate, booked: Reservation) -> float:
    started = clock.monotonic()
    await gate.until_ready(booked)
    return clock.monotonic() - started


async def test_a_waiting_call_starts_sooner_when_the_limit_turns_out_higher(redis: Redis) -> None:
    gate, guessed = Gate(redis), pool(output=600)
    first, *_, last = [await gate.reserve(guessed, Call("new", characters=30, max_output_tokens=100)) for _ in range(9)]
    assert last.wait > 60, "by the guess of the settings"

    await gate.settle(first, Spent(Used(1, 9, 100), limit={"output": 600_000}))

    assert await seconds_until_ready(gate, last) < 5


async def test_a_pause_holds_back_calls_that_are_booked_already(redis: Redis) -> None:
    gate, slow = Gate(redis), pool(requests=60)
    first, *_, last = [await gate.reserve(slow, SMALL) for _ in range(7)]
    assert 0 < last.wait <= 1

    await gate.settle(first, Spent(Used(1), pause=2))

    assert await seconds_until_ready(gate, last) > 1.5


async def test_what_is_given_back_goes_to_those_who_wait(redis: Redis) -> None:
    gate, slow = Gate(redis), pool(requests=6)
    first, last = [await gate.reserve(slow, SMALL) for _ in range(2)]
    assert last.wait > 9

    await gate.settle(first, Spent(Used()))

    assert await seconds_until_ready(gate, last) < 5


async def test_a_booking_whose_answer_was_lost_is_booked_once(redis: Redis) -> None:
    gate, slow = Gate(redis), pool(requests=60)
    answers = [await gate._book("call-1", slow, SMALL) for _ in range(5)]

    assert len({answer[2] for answer in answers}) == 1
    assert await redis.zcard(keys.gate_calls("sonnet")) == 1
    assert float(await redis.hget(keys.gate_state("sonnet"), "booked_requests")) == 1
    await gate.settle(Reservation("call-1", slow, SMALL, 0, 0, 0, ""), Spent(Used()))


async def test_a_header_that_says_nothing_sensible_is_not_learned(redis: Redis) -> None:
    gate = Gate(redis)
    booked = await gate.reserve(POOL, SMALL)

    await gate.settle(booked, Spent(Used(1), limit={"requests": 0}, pause=float("inf")))

    assert await redis.hget(keys.gate_state("sonnet"), "limit_requests") is None
    await redis.hdel(keys.gate_state("sonnet"), "paused_until")
    assert (await gate.reserve(POOL, SMALL)).wait == 0


async def test_nothing_flows_in_while_the_provider_asks_everybody_to_stay_away(redis: Redis) -> None:
    gate, slow = Gate(redis), pool(requests=60)
    first, *rest = [await gate.reserve(slow, SMALL) for _ in range(12)]
    assert rest[-1].wait == pytest.approx(6, abs=1)

    await gate.settle(first, Spent(pause=30))

    again = await gate.reserve(slow, SMALL)
    assert again.wait == pytest.approx(30, abs=1), "the pause, and what was waiting before it comes after it"
    assert await gate._still_to_wait(rest[-1]) > 29


async def test_a_call_that_ends_while_redis_is_away_gives_its_place_back_after() -> None:
    with RedisServer() as server:
        redis = connect(server.url)
        gate = Gate(redis)
        booked = await gate.reserve(POOL, SMALL)
        await asyncio.to_thread(server.pause)
        ending = asyncio.create_task(gate.settle(booked, Spent(Used(1))))
        await asyncio.wait([ending], timeout=10)
        await asyncio.to_thread(server.resume)

        async def free() -> bool:
            return await redis.zcard(keys.gate_calls("sonnet")) == 0

        await until(free)
        await redis.aclose(close_connection_pool=True)
