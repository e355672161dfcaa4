"""Buying a model call: through the real gate, from a provider that does as it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tenacity import wait_none

from local.redis_server import RedisServer
from shared import clock, keys, metrics
from shared.errors import RequestTooLarge
from shared.gate import Gate
from shared.gate_inspector import GateInspector
from shared.listener import listen
from shared.pool import Asker, Call, Headroom, Limits, Pool, Reservation, Spent, Used
from shared.redis_client import Redis, connect
from shared.turn import BrokenRecord, ModelRecord
from shared.usage import Usage
from tests.waiting import until
from worker import model_call
from worker.model_call import ATTEMPTS, CANCELLED, ModelCaller, TargetClient
from worker.provider import (
    Answer,
    ModelRequest,
    ProviderBusy,
    ProviderDown,
    ProviderError,
    ProviderRefused,
    unheard,
)

LIMITS = {"requests": 600, "input": 600_000, "output": 600_000, "in_flight": 4}
REQUEST = ModelRequest(system="Be brief.", messages=[{"role": "user", "content": "x" * 1000}], tools=[], max_tokens=100)
ANSWER = Answer(
    content=[{"type": "text", "text": "Hello."}],
    stop_reason="end_turn",
    usage=Usage(input_tokens=300, cache_read_input_tokens=1000, output_tokens=20),
    model="claude-sonnet-4-6",
    request_id="req_1",
)
HEADROOM = Headroom({"requests": 500}, {"requests": 7})
Step = Answer | BaseException | Callable[[], Awaitable[Answer]]


class Scripted:
    """A provider that does one thing after the other; implements `worker.provider.Provider`."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.asked: list[ModelRequest] = []
        self.said: Usage | None = None
        """What it tells of its cost before each step."""

    async def stream(
        self,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_headroom: Callable[[Headroom], None],
        on_usage: Callable[[Usage], None] = unheard,
    ) -> Answer:
        self.asked.append(request)
        step = self._steps.pop(0)
        if self.said is not None:
            on_usage(self.said)
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, Answer):
            on_headroom(HEADROOM)
            on_text("Hello.")
            return step
        return await step()

    async def probe(self) -> None:
        pass

    async def close(self) -> None:
        pass


class CountingGate(Gate):
    """The real gate, with a list of what was settled."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, "worker")
        self.reserved: list[Reservation] = []
        self.settled: list[Spent] = []

    async def reserve(self, pool: Pool, call: Call, *patience: Any) -> Reservation:
        reservation = await super().reserve(pool, call, *patience)
        self.reserved.append(reservation)
        return reservation

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        await super().settle(reservation, spent)
        self.settled.append(spent)

    def answered(self, reservation: Reservation, used: Used) -> None:
        super().answered(reservation, used)
        self.settled.append(Spent("ok", used))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between attempts only what the provider asks for is waited."""
    monkeypatch.setattr(model_call, "_FULL_JITTER", wait_none())


@pytest.fixture
async def gate(redis: Redis) -> AsyncIterator[CountingGate]:
    """It hears of its grants, as it does in a worker."""
    made, connected = CountingGate(redis), asyncio.Event()
    ear = asyncio.create_task(listen(redis, made.channel, made.hear, connected.set))
    await connected.wait()
    yield made
    ear.cancel()


def target(provider: Scripted, name: str = "default", **limits: int) -> TargetClient:
    return TargetClient(name, "anthropic", "claude-sonnet-4-6", Pool("sonnet", Limits(**(LIMITS | limits))), provider)


async def call(
    gate: Gate, where: TargetClient, on_text: Callable[[str], None] = lambda text: None, **options: Any
) -> ModelRecord:
    """When it returns the gate has been told."""
    try:
        return await ModelCaller(gate, 30).call(where, Asker("tester"), 3, asked, on_text, **options)
    finally:
        await gate.close()


async def asked() -> ModelRequest:
    return REQUEST


def down(**fields: Any) -> ProviderDown:
    return ProviderDown("overloaded", type="overloaded_error", **fields)


def busy(**fields: Any) -> ProviderBusy:
    return ProviderBusy("slow down", type="rate_limit_error", **fields)


async def in_flight(redis: Redis) -> int:
    count: int = await redis.hlen(keys.gate_calls("sonnet"))
    return count


async def look(redis: Redis) -> Any:
    """The pool as it stands."""
    return await GateInspector(redis).look(Pool("sonnet", Limits(**LIMITS)))


async def level(redis: Redis, dimension: str) -> float:
    """What is left of the bucket."""
    return float((await look(redis))[dimension]["level"])


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancels until it ends: before Python 3.12 a cancel can get lost while redis-py sends (cpython issue 86296)."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)
    assert task.cancelled()


async def test_an_answer_becomes_the_turns_record(gate: CountingGate, redis: Redis) -> None:
    heard: list[str] = []
    provider = Scripted(ANSWER)

    record = await call(gate, target(provider), heard.append)

    assert record == ModelRecord(
        turn=3,
        content=ANSWER.content,
        stop_reason="end_turn",
        usage=Usage(
            input_tokens=300,
            cache_read_input_tokens=1000,
            output_tokens=20,
            model_calls=1,
            turns=1,
            cost_nano=1_500_000,  # 300 × $3 + 1000 × $0.30 + 20 × $15 a million
        ),
        target="default",
        model="claude-sonnet-4-6",
        request_id="req_1",
        milliseconds=record.milliseconds,
    )
    assert heard == ["Hello."]
    assert provider.asked == [REQUEST]
    assert await in_flight(redis) == 0


async def test_what_was_used_is_settled_without_cache_reads_and_learned_with_them(
    gate: CountingGate, redis: Redis
) -> None:
    answer = Answer(
        content=[],
        stop_reason="end_turn",
        usage=Usage(input_tokens=300, cache_creation_input_tokens=50, cache_read_input_tokens=1000, output_tokens=20),
        model="claude-sonnet-4-6",
        request_id=None,
    )
    await call(gate, target(Scripted(answer)))

    (spent,) = gate.settled
    assert spent.used == Used(1, 350, 20)


async def test_what_the_headers_say_is_known_to_all_at_once(gate: CountingGate, redis: Redis) -> None:
    await call(gate, target(Scripted(ANSWER)))

    async def known() -> bool:
        return bool((await look(redis))["requests"]["limit"] == 500)

    await until(known)


@pytest.mark.parametrize("error", [busy(retry_after=0.001), down(), down(began=True)])
async def test_what_may_pass_is_tried_five_times_and_each_time_through_the_gate(
    gate: CountingGate, redis: Redis, error: ProviderError
) -> None:
    provider = Scripted(*[error] * 9)

    with pytest.raises(type(error)) as caught:
        await call(gate, target(provider))

    assert caught.value is error
    assert len(provider.asked) == ATTEMPTS == 5
    assert len({reservation.id for reservation in gate.reserved}) == 5
    assert len(gate.settled) == 5
    assert await in_flight(redis) == 0


async def test_the_first_success_ends_the_attempts_and_is_paid_once(gate: CountingGate, redis: Redis) -> None:
    where = target(Scripted(down(), busy(retry_after=0.001), ANSWER), name="paid-once")

    record = await call(gate, where)

    assert record.usage.model_calls == 1
    assert record.usage.cost_nano == 1_500_000
    assert len(gate.reserved) == 3
    assert [spent.outcome for spent in gate.settled] == ["down", "busy", "ok"]
    dollars = metrics.WORK.get_sample_value("sluice_cost_usd_total", {"target": "paid-once", "agent": "tester"})
    assert dollars == pytest.approx(0.0015)
    assert await in_flight(redis) == 0


async def test_a_refusal_is_final(gate: CountingGate, redis: Redis) -> None:
    provider = Scripted(ProviderRefused("no such model", type="not_found_error"))

    with pytest.raises(ProviderRefused):
        await call(gate, target(provider))

    assert len(provider.asked) == len(gate.settled) == 1
    assert gate.settled[0] == Spent(used=Used()), "a refused request is not counted by the provider"
    assert await in_flight(redis) == 0


async def test_when_there_were_too_many_retries_of_late_the_attempts_are_used_up(
    gate: CountingGate, redis: Redis
) -> None:
    for _ in range(12):  # one in three fails, which is no outage
        await call(gate, target(Scripted(down(), ANSWER)))
        await call(gate, target(Scripted(ANSWER)))
    provider = Scripted(down(), ANSWER)
    with pytest.raises(ProviderDown) as last:
        await call(gate, target(provider))

    assert last.value.pool == "sonnet"
    assert len(provider.asked) == 1, "and not again"


async def test_a_limit_met_in_mid_answer_is_a_moments_pause(gate: CountingGate, redis: Redis) -> None:
    """Its headers are those of the beginning, so it names no bucket and no time; but it is no cap on spending."""
    await call(gate, target(Scripted(busy(began=True), ANSWER)))

    assert gate.settled[0] == Spent("busy", None, retry_after=1)
    assert (await look(redis))["breaker"] == "closed"


async def test_an_error_of_ours_is_final_and_counted_in_full(gate: CountingGate, redis: Redis) -> None:
    with pytest.raises(ZeroDivisionError):
        await call(gate, target(Scripted(ZeroDivisionError())))

    assert gate.settled[0].used is None
    assert await in_flight(redis) == 0


@pytest.mark.parametrize("error", [busy(retry_after=0.3), down(retry_after=0.3)])
async def test_retry_after_is_never_cut_short(gate: CountingGate, error: ProviderError) -> None:
    started = clock.monotonic()
    await call(gate, target(Scripted(error, ANSWER)))
    assert clock.monotonic() - started >= 0.3


async def test_a_429_keeps_every_caller_away(gate: CountingGate, redis: Redis) -> None:
    with pytest.raises(ProviderBusy):
        await call(gate, target(Scripted(*[busy(retry_after=0.2)] * 5)))
    assert [spent.retry_after for spent in gate.settled] == [0.2] * 5
    assert (await look(redis))["refused"] == 5
    assert 0 < (await look(redis))["shut_ms"] <= 200


async def test_a_refused_call_goes_back_to_its_place(gate: CountingGate) -> None:
    await call(gate, target(Scripted(busy(retry_after=0.01), ANSWER)))
    first, second = gate.reserved
    assert float(first.place) - 1e-6 < float(second.place) < float(first.place), "before its like"


async def test_an_attempt_that_had_begun_is_counted_and_one_that_had_not_is_given_back(gate: CountingGate) -> None:
    await call(gate, target(Scripted(down(began=True), down(), ANSWER)))

    begun, not_begun, _ = gate.settled
    assert begun.used is None, "nobody knows what was counted: all that was booked stays spent"
    assert not_begun == Spent("down", Used())


async def test_a_call_larger_than_its_whole_budget_is_not_tried(gate: CountingGate, redis: Redis) -> None:
    provider = Scripted(ANSWER)
    with pytest.raises(RequestTooLarge):
        await call(gate, target(provider, input=100))

    assert provider.asked == []
    assert await in_flight(redis) == 0


async def test_a_cancel_in_mid_call_leaves_no_call_behind(gate: CountingGate, redis: Redis) -> None:
    calling = asyncio.Event()

    async def hang() -> Answer:
        calling.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(call(gate, target(Scripted(hang))))
    async with asyncio.timeout(10):
        await calling.wait()
        assert await in_flight(redis) == 1
        await cancel(task)

    assert await in_flight(redis) == 0
    assert gate.settled == [Spent()], "all that was booked stays spent: rather too much than a 429"


async def test_a_cancel_while_waiting_gives_back_what_was_booked(gate: CountingGate, redis: Redis) -> None:
    narrow = {"requests": 6}
    first = await gate.reserve(Pool("sonnet", Limits(**(LIMITS | narrow))), Call(Asker("other"), 100, 10))
    provider = Scripted(ANSWER)

    task = asyncio.create_task(call(gate, target(provider, **narrow)))

    async def waits() -> bool:
        return bool(await redis.hlen(keys.gate_waiting("sonnet")))

    await until(waits)
    await cancel(task)

    assert provider.asked == []
    assert not await waits()
    assert await redis.hkeys(keys.gate_calls("sonnet")) == [first.id]  # type: ignore[attr-defined]


async def test_a_cancel_before_there_is_room_books_nothing(gate: CountingGate, redis: Redis) -> None:
    other = await gate.reserve(Pool("sonnet", Limits(**(LIMITS | {"in_flight": 1}))), Call(Asker("other"), 100, 10))
    before = await level(redis, "requests")
    task = asyncio.create_task(call(gate, target(Scripted(ANSWER), in_flight=1)))
    await asyncio.wait([task], timeout=0.05)
    await cancel(task)

    assert await redis.hkeys(keys.gate_calls("sonnet")) == [other.id]  # type: ignore[attr-defined]
    assert await level(redis, "requests") >= before


async def test_a_cancel_between_two_attempts_leaves_no_call_behind(gate: CountingGate, redis: Redis) -> None:
    task = asyncio.create_task(call(gate, target(Scripted(down(retry_after=20), ANSWER))))
    await until(lambda: len(gate.settled) == 1)
    await cancel(task)
    assert await in_flight(redis) == 0


async def test_who_is_asked_to_stay_away_for_long_does_not_hold_a_slot_meanwhile(gate: CountingGate) -> None:
    with pytest.raises(ProviderBusy):
        await call(gate, target(Scripted(busy(retry_after=3000))))
    assert len(gate.reserved) == 1


async def test_many_callers_share_the_places_and_leave_none_taken(gate: CountingGate, redis: Redis) -> None:
    at_once: list[int] = []
    running = 0

    async def work() -> Answer:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.01)
        running -= 1
        return ANSWER

    steps: list[Step] = [work, down(), work, down(began=True), work, work, work, work]
    where = target(Scripted(*steps), in_flight=2)
    await asyncio.gather(*(call(gate, where) for _ in range(6)))

    assert max(at_once) <= 2
    assert await in_flight(redis) == 0
    assert len(gate.settled) == len(gate.reserved) == 8


async def test_a_call_waits_for_redis_and_survives_its_absence_after() -> None:
    with RedisServer() as server:
        redis = connect(server.url)
        gate = Gate(redis, "worker")

        async def answer_while_redis_is_away() -> Answer:
            await asyncio.to_thread(server.stop)
            return ANSWER

        server.stop()
        provider = Scripted(answer_while_redis_is_away)
        task = asyncio.create_task(call(gate, target(provider)))
        await asyncio.wait([task], timeout=0.3)
        assert not task.done()
        assert provider.asked == [], "nothing passes without the gate"
        await asyncio.to_thread(server.start)

        async with asyncio.timeout(20):
            record = await task

        assert record.content == ANSWER.content, "what was bought is not lost for a gate that cannot be told"
        waiting = asyncio.create_task(gate.reserve(Pool("sonnet", Limits(**LIMITS)), Call(Asker("other"), 100, 10)))
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done(), "without Redis nobody knows what is left of the budget"
        await cancel(waiting)
        await redis.aclose(close_connection_pool=True)


# What broke off


SAID = Usage(input_tokens=1000, cache_read_input_tokens=500, output_tokens=40)
SAID_COST = 1000 * 3000 + 500 * 300 + 40 * 15000


async def test_an_answer_that_breaks_off_tells_what_it_cost(gate: CountingGate) -> None:
    provider, broken = Scripted(down(began=True), busy(began=True, retry_after=0.01), ANSWER), list[BrokenRecord]()
    provider.said = SAID
    record = await call(gate, target(provider), on_broken=broken.append)

    assert [(one.turn, one.target, one.why) for one in broken] == [
        (3, "default", "overloaded_error"),
        (3, "default", "rate_limit_error"),
    ]
    assert broken[0].usage == replace(SAID, model_calls=1, cost_nano=SAID_COST)
    assert record.usage.model_calls == 1, "its own only"


async def test_an_answer_that_never_began_cost_nothing(gate: CountingGate) -> None:
    broken = list[BrokenRecord]()
    await call(gate, target(Scripted(down(), ANSWER)), on_broken=broken.append)
    assert broken == []


async def test_an_answer_that_nobody_waits_for_any_more_tells_what_it_cost(gate: CountingGate) -> None:
    calling, broken = asyncio.Event(), list[BrokenRecord]()

    async def hang() -> Answer:
        calling.set()
        await asyncio.Event().wait()
        raise AssertionError

    provider = Scripted(hang)
    provider.said = SAID
    task = asyncio.create_task(call(gate, target(provider), on_broken=broken.append))
    async with asyncio.timeout(10):
        await calling.wait()
        await cancel(task)
    assert [(one.why, one.usage.cost_nano) for one in broken] == [(CANCELLED, SAID_COST)]


async def test_what_is_asked_is_told_anew_before_each_attempt(gate: CountingGate) -> None:
    provider, left = Scripted(down(began=True), down(began=True), ANSWER), [30, 20, 10]

    async def fewer() -> ModelRequest:
        return replace(REQUEST, max_tokens=left.pop(0))

    await ModelCaller(gate, 30).call(target(provider), Asker("tester"), 3, fewer, lambda text: None)
    assert [one.max_tokens for one in provider.asked] == [30, 20, 10]
    assert [one.call.max_output_tokens for one in gate.reserved] == [30, 20, 10]
