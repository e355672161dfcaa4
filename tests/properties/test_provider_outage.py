"""Ten minutes without a provider, at the gate, in virtual time: how often it is called, and how it is come back to."""

from dataclasses import dataclass, field

import pytest

from shared.pool import Spent, Used
from tests.properties.gate_fleet import Fleet, Load, exact_provider
from tests.properties.provider_model import Provider
from tests.shared.gating import Gates, pool

POOL = pool(requests=600, input=600_000, output=600_000, in_flight=40)
LOAD = Load(callers=100, input=300, output=50, latency=0.05)
OUTAGE_SECONDS = 600


@dataclass
class Weather(Provider):
    """A provider that fails while it is `down`; `tried` are the calls that it met then, and when."""

    down: bool = False
    tried: list[float] = field(default_factory=list)

    def begin(self, call_id: str, now: float, input_tokens: int, output_tokens: int) -> bool:
        if self.down:
            self.tried.append(now)
            return False
        return super().begin(call_id, now, input_tokens, output_tokens)


@dataclass
class Caller(Fleet):
    """Whoever meets a failure asks again at once: as impatient as can be."""

    async def _refused(self, call_id: str) -> None:
        if not weather_of(self).down:
            return await super()._refused(call_id)
        entry, sizes = self.entries.pop(call_id), self.sizes.pop(call_id)
        self.started.discard(call_id)
        await self.gates.leave(entry, Spent("down", Used()))
        await self._enter(entry.reservation.place, sizes)


def weather_of(fleet: Fleet) -> Weather:
    assert isinstance(fleet.provider, Weather)
    return fleet.provider


@pytest.fixture
async def fleet(gates: Gates) -> Caller:
    """It has worked for a while, and as much as it may."""
    exact = exact_provider(gates, POOL)
    made = Caller(gates, POOL, LOAD, Weather(exact.buckets))
    await made.run(5)
    assert made.provider.refused == 0
    assert made.provider.calls
    return made


async def in_flight(fleet: Fleet) -> int:
    return len(await fleet.gates.in_flight(POOL))


async def test_ten_minutes_of_outage_cost_hardly_a_call(fleet: Caller) -> None:
    weather = weather_of(fleet)
    under_way = await in_flight(fleet)
    weather.down = True
    await fleet.run(OUTAGE_SECONDS / 2, step=0.25)
    at_first = len(weather.tried)
    await fleet.run(OUTAGE_SECONDS / 2, step=0.5)

    assert at_first <= under_way + 300, "more often at first, since most outages are short"
    assert len(weather.tried) - at_first <= 50, "then less than ten a minute, of the whole fleet"
    assert await in_flight(fleet) <= 1


async def test_the_provider_is_tried_within_a_minute_and_then_come_back_to_slowly(fleet: Caller) -> None:
    weather = weather_of(fleet)
    weather.down = True
    await fleet.run(OUTAGE_SECONDS, step=0.5)
    weather.down = False
    back, before = fleet.gates.now, fleet.produced("requests")
    while fleet.produced("requests") == before:
        assert fleet.gates.now - back < 76
        assert await in_flight(fleet) <= 1, "one tries"
        await fleet.run(0.1, step=0.1)

    answered = 0
    while answered < POOL.limits.in_flight:
        await fleet.run(0.05, step=0.05)
        answered = round(fleet.produced("requests") - before)
        assert await in_flight(fleet) <= 8 + answered, "eight at a time, and one more with each that is answered"
    assert fleet.gates.now - back < 100

    before = fleet.produced("requests")
    await fleet.run(20, step=0.05)
    assert weather.refused == 0, "not one 429"
    assert fleet.produced("requests") - before >= 0.9 * 20 * POOL.limits.requests / 60, "and all of the budget is used"
