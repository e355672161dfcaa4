"""Which target of a chain serves a call, and what becomes of one that none can serve: through the real gate."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tenacity import wait_none

from shared import metrics
from shared.chain_scores import ChainScores
from shared.errors import NoRoomYet
from shared.gate import Gate
from shared.pool import Asker, Call, Headroom, Limits, Pool, Spent, Used
from shared.redis_client import Redis
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.shared.gating import Gates
from worker import chain_caller, model_call
from worker.chain import Chain
from worker.chain_caller import ChainCaller, Wanted
from worker.model_call import ATTEMPTS, ModelCaller, TargetClient
from worker.provider import Answer, ModelRequest, ProviderBusy, ProviderDown, ProviderError, ProviderRefused, unheard
from worker.tool_runner import fits
from worker.tools import tool

LIMITS = {"requests": 600, "input": 600_000, "output": 600_000, "in_flight": 4}
DOWN = ProviderDown("overloaded", type="overloaded_error")
BUSY = ProviderBusy("slow down", type="rate_limit_error", retry_after=20)
BAD_KEY = ProviderRefused("invalid x-api-key", type="authentication_error")
NO_MODEL = ProviderRefused("no such route", type="http_404")
BAD_REQUEST = ProviderRefused("messages: at least one message is required", type="invalid_request_error")


class Endless:
    """A provider that always does the same."""

    def __init__(self, name: str) -> None:
        self.does: Answer | Exception = Answer(
            [{"type": "text", "text": f"{name} says hello."}],
            "end_turn",
            Usage(input_tokens=300, output_tokens=20),
            "claude-sonnet-4-6",
            None,
        )
        self.asked: list[ModelRequest] = []

    async def stream(
        self,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_headroom: Callable[[Headroom], None],
        on_usage: Callable[[Usage], None] = unheard,
    ) -> Answer:
        self.asked.append(request)
        if isinstance(self.does, Exception):
            raise self.does
        return self.does

    async def probe(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Fleet:
    """A chain of two targets, `one` and `two`, each with a pool and a provider of its own."""

    def __init__(self, gate: Gate, scores: ChainScores, drill_percent: float = 0) -> None:
        self.gate = gate
        self.scores = scores
        self.one, self.two = Endless("one"), Endless("two")
        self.targets = [self._target("one", self.one), self._target("two", self.two)]
        self.drill_percent = drill_percent
        self.caller = ChainCaller(ModelCaller(gate, 0.05), scores)
        self.leaving = asyncio.Event()

    def _target(self, name: str, provider: Endless, **limits: int) -> TargetClient:
        return TargetClient(name, "anthropic", "claude-sonnet-4-6", Pool(name, Limits(**(LIMITS | limits))), provider)

    def narrow(self, name: str, **limits: int) -> None:
        """The settings of this target's pool say so."""
        self.targets = [
            replace(one, pool=Pool(name, Limits(**(LIMITS | limits)))) if one.name == name else one
            for one in self.targets
        ]

    @property
    def chain(self) -> Chain:
        return Chain("default", tuple(self.targets), self.drill_percent, fallback_after_seconds=0.05)

    async def call(self, last: str | None = None, tools: Any = ()) -> ModelRecord:
        wanted = Wanted(
            "job_1", Asker("tester"), 1, last, partial(fits, {one.name: one for one in tools}), self.request
        )
        return await self.caller.call(self.chain, wanted, lambda text: None, self.leaving)

    async def request(self, target: TargetClient) -> ModelRequest:
        words = [{"role": "user", "content": "x" * 1000}, {"role": "user", "content": target.name}]
        return ModelRequest("", words, [], 100)

    async def shut(self, name: str) -> None:
        """Its provider fails until nobody calls it."""
        pool = Pool(name, Limits(**LIMITS))
        for _ in range(5):
            reservation = await self.gate.reserve(pool, Call(Asker("other"), 10, 10))
            await self.gate.settle(reservation, Spent("down", Used()))

    async def fill(self, name: str) -> None:
        """Others have taken all its budget for a while."""
        self.narrow(name, requests=6)
        (target,) = (one for one in self.targets if one.name == name)
        first = await self.gate.reserve(target.pool, Call(Asker("other"), 10, 10))
        await self.gate.settle(first, Spent("ok", Used(1, 3, 10)))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between attempts only what the provider asks for is waited."""
    monkeypatch.setattr(model_call, "_FULL_JITTER", wait_none())


@pytest.fixture
def fleet(gates: Gates) -> Fleet:
    """In virtual time: what a bucket lacks it lacks until the test has ended."""
    return Fleet(gates.worker(), ChainScores(gates.redis))


async def test_the_first_serves_while_it_can(fleet: Fleet) -> None:
    record = await fleet.call()
    assert (record.target, record.served_as) == ("one", "first")
    assert fleet.two.asked == []


@pytest.mark.parametrize("error", [DOWN, BUSY, BAD_KEY, NO_MODEL], ids=lambda error: error.type)
async def test_the_next_serves_when_the_first_cannot(fleet: Fleet, error: ProviderError) -> None:
    fleet.one.does = error
    record = await fleet.call()
    assert (record.target, record.served_as) == ("two", "fallback")
    assert record.text == "two says hello."
    assert fleet.two.asked[0].messages[-1]["content"] == "two", "each is asked in its own way"


async def test_the_first_is_asked_as_often_as_alone_before_the_next_is(fleet: Fleet) -> None:
    fleet.one.does = DOWN
    await fleet.call()
    assert len(fleet.one.asked) == ATTEMPTS


async def test_who_asks_to_stay_away_for_longer_than_a_call_may_wait_is_not_waited_for(fleet: Fleet) -> None:
    fleet.one.does = ProviderDown("overloaded", type="overloaded_error", retry_after=2)
    await fleet.call()
    assert len(fleet.one.asked) == 1


async def test_in_an_outage_the_first_is_not_waited_for(fleet: Fleet) -> None:
    await fleet.shut("one")
    patient = Chain("default", tuple(fleet.targets), fallback_after_seconds=1000)
    wanted = Wanted("job_1", Asker("tester"), 1, None, lambda call: False, fleet.request)

    caller = ChainCaller(ModelCaller(fleet.gate, 1000), fleet.scores)
    async with asyncio.timeout(20):
        record = await caller.call(patient, wanted, lambda text: None, fleet.leaving)

    assert record.target == "two"
    assert fleet.one.asked == []


async def test_after_the_outage_one_call_tries_the_first_and_the_next_follow_it(fleet: Fleet, gates: Gates) -> None:
    await fleet.shut("one")
    assert (await fleet.call()).target == "two"
    await gates.later(2)
    assert (await fleet.call()).target == "one"
    assert (await fleet.call()).target == "one"


async def test_a_first_without_room_is_not_waited_for_long(fleet: Fleet) -> None:
    await fleet.fill("one")
    record = await fleet.call()
    assert (record.target, record.served_as) == ("two", "fallback")
    assert fleet.one.asked == []


async def test_a_request_too_large_for_one_pool_may_pass_the_next(fleet: Fleet) -> None:
    fleet.narrow("one", input=100)
    assert (await fleet.call()).target == "two"


async def test_what_the_first_says_of_the_request_is_final(fleet: Fleet) -> None:
    fleet.one.does = BAD_REQUEST
    with pytest.raises(ProviderRefused) as caught:
        await fleet.call()
    assert caught.value is BAD_REQUEST
    assert fleet.two.asked == []


async def test_no_job_fails_because_its_fallback_refuses_what_the_first_might_take(fleet: Fleet) -> None:
    fleet.one.does, fleet.two.does = DOWN, BAD_REQUEST
    with pytest.raises(ProviderDown):
        await fleet.call()


async def test_no_job_fails_while_one_of_its_targets_only_has_to_wait(fleet: Fleet) -> None:
    fleet.one.does = BAD_KEY
    await fleet.fill("two")
    with pytest.raises(NoRoomYet):
        await fleet.call()


async def test_when_none_could_ever_serve_it_fails_in_the_words_of_the_first(fleet: Fleet) -> None:
    fleet.one.does = BAD_KEY
    fleet.two.does = ProviderRefused("no such model", type="not_found_error")
    with pytest.raises(ProviderRefused, match="x-api-key"):
        await fleet.call()

    with pytest.raises(ProviderRefused, match="x-api-key"):
        await fleet.call(last="two")


async def test_it_waits_for_whoever_may_serve_first(fleet: Fleet) -> None:
    fleet.one.does = ProviderBusy("slow down", type="rate_limit_error", retry_after=300)
    fleet.two.does = ProviderDown("overloaded", type="overloaded_error", retry_after=40)
    with pytest.raises(ProviderDown) as down:
        await fleet.call()
    assert down.value.retry_after == 40


async def test_a_breaker_that_opens_soon_is_waited_for_rather_than_a_provider_that_asks_for_more(fleet: Fleet) -> None:
    fleet.two.does = ProviderDown("overloaded", type="overloaded_error", retry_after=40)
    await fleet.shut("one")
    with pytest.raises(NoRoomYet) as shut:
        await fleet.call()
    assert shut.value.outage
    assert 0 < shut.value.seconds <= 1.25, "how long the breaker stays open at first"


@pytest.mark.parametrize("error", [DOWN, BUSY, BAD_KEY, BAD_REQUEST], ids=lambda error: error.type)
async def test_a_drill_that_the_second_cannot_serve_goes_to_the_first(fleet: Fleet, error: ProviderError) -> None:
    fleet.drill_percent, fleet.two.does = 100, error
    record = await fleet.call()
    assert (record.target, record.served_as) == ("one", "first")


async def test_a_drill_waits_for_no_room_at_the_second(fleet: Fleet) -> None:
    fleet.drill_percent = 100
    await fleet.fill("two")
    assert (await fleet.call()).target == "one"


async def test_a_drill_is_served_by_the_second_and_says_so(fleet: Fleet) -> None:
    fleet.drill_percent = 100
    record = await fleet.call()
    assert (record.target, record.served_as) == ("two", "drill")
    assert fleet.one.asked == []


async def test_a_conversation_does_not_hop_back(fleet: Fleet) -> None:
    assert (await fleet.call(last="two")).target == "two"


async def test_a_conversation_whose_target_is_lost_goes_back_to_the_first(fleet: Fleet) -> None:
    fleet.two.does = DOWN
    record = await fleet.call(last="two")
    assert (record.target, record.served_as) == ("one", "first")


async def test_a_worker_that_leaves_asks_nobody_else(fleet: Fleet) -> None:
    await fleet.fill("one")
    fleet.leaving.set()
    with pytest.raises(NoRoomYet):
        await fleet.call()
    assert fleet.two.asked == []
    assert (await fleet.scores.read("default", "one")).calls == 0, "that says nothing of the target"


@tool(effect="read")
def look(place: str) -> str:
    """Look there."""
    return place


async def test_what_the_targets_did_is_noted_with_the_validity_of_tool_calls(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_caller, "_NOTE_SECONDS", 0)
    asked = [{"place": "here"}, {"plaice": "here"}]
    content = [{"type": "tool_use", "id": f"toolu_{n}", "name": "look", "input": one} for n, one in enumerate(asked)]
    content.append({"type": "tool_use", "id": "toolu_9", "name": "lock", "input": {"place": "here"}})
    fleet.one.does = DOWN
    fleet.two.does = Answer(content, "tool_use", Usage(input_tokens=300, output_tokens=20), "claude-sonnet-4-6", None)

    await fleet.call(tools=[look])

    first, second = await fleet.scores.read("default", "one"), await fleet.scores.read("default", "two")
    assert (first.calls, first.success, first.last_trouble) == (1, 0, "overloaded_error")
    assert (second.calls, second.success, second.last_trouble) == (1, 1, None)
    assert second.cost_nano == 1_200_000
    assert second.milliseconds is not None
    assert (second.tool_calls, second.valid_tool_calls) == (3, 1 / 3)


async def test_the_first_is_noted_once_a_second_at_most_and_the_second_always(fleet: Fleet) -> None:
    for _ in range(3):
        await fleet.call()
        await fleet.call(last="two")
    assert (await fleet.scores.read("default", "one")).calls == 1
    assert (await fleet.scores.read("default", "two")).calls == 3


async def test_a_chain_of_one_is_not_noted(fleet: Fleet, redis: Redis) -> None:
    fleet.targets = fleet.targets[:1]
    await fleet.call()
    assert (await fleet.scores.read("default", "one")).calls == 0


def total(name: str, **labels: str) -> float:
    return metrics.WORK.get_sample_value(name, labels) or 0


async def test_the_metrics_tell_the_same(fleet: Fleet) -> None:
    served = {"chain": "default", "target": "two", "served_as": "fallback", "outcome": "ok"}
    failed = {"chain": "default", "target": "one", "served_as": "first", "outcome": "overloaded_error"}
    before = total("sluice_chain_calls_total", **served), total("sluice_chain_calls_total", **failed)
    fleet.one.does = DOWN

    await fleet.call()

    after = total("sluice_chain_calls_total", **served), total("sluice_chain_calls_total", **failed)
    assert after == (before[0] + 1, before[1] + 1)
