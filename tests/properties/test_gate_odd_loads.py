"""Loads that nobody can foresee, against the exact provider: the budget is used all the same, with few refusals."""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from shared.gate_news import begun
from shared.pool import Limits, Pool, Spent, Used
from tests.properties.gate_fleet import Fleet, Load, exact_provider
from tests.shared.gating import Gates, call


@dataclass(frozen=True)
class Odd:
    """A call: whose, how many input tokens it seems to be and is, what it says and may say at most."""

    agent: str
    seems: int
    input: int
    output: int
    most: int


@dataclass
class OddFleet(Fleet):
    draw: Callable[[random.Random], Odd] = lambda _: Odd("a", 1000, 1000, 100, 4000)
    calls: dict[str, Odd] = field(default_factory=dict)
    parked: list[tuple[float, Odd]] = field(default_factory=list)

    async def run(self, seconds: float, *, asking: bool = True, step: float = 0.04) -> None:
        """Those that are parked come back, and nobody comes in their place."""
        callers = self.load.callers
        for _ in range(round(seconds / step)):
            back = [each for each in self.parked if each[0] <= self.gates.now]
            self.parked = [each for each in self.parked if each[0] > self.gates.now]
            for _, odd in back:
                await self._ask(odd)
            self.load = replace(self.load, callers=callers - len(self.parked))
            await super().run(step, asking=asking, step=step)
        self.load = replace(self.load, callers=callers)

    async def _enter(self, place: str = "", sizes: tuple[int, int] | None = None) -> None:
        await self._ask(self.draw(self.random), place)

    async def _ask(self, odd: Odd, place: str = "") -> None:
        wanted = call(agent=odd.agent, input=odd.seems, output=odd.most, place=place)
        entry = await self.gates.enter(self.pool, wanted, worker=f"w{next(self.numbers) % self.load.workers}")
        if entry.spent:
            self.parked.append((self.gates.now + self.random.uniform(5, 30), odd))
            return
        self.entries[entry.id], self.sizes[entry.id], self.calls[entry.id] = entry, (odd.input, odd.output), odd

    async def _arrive(self) -> None:
        while self.arriving and self.arriving[0][0] <= self.gates.now:
            _, call_id = heapq.heappop(self.arriving)
            input_tokens, output_tokens = self.sizes[call_id]
            if self.provider.begin(call_id, self.gates.now, input_tokens, output_tokens):
                told = replace(self._headroom(), input_tokens=input_tokens)
                await self.gates.worker().commands.tell(self.pool, begun(call_id, told))
            else:
                await self._refused(call_id)

    async def _refused(self, call_id: str) -> None:
        entry, odd = self.entries.pop(call_id), self.calls.pop(call_id)
        del self.sizes[call_id]
        self.started.discard(call_id)
        wait = self._seconds_until_there_is(odd)
        await self.gates.leave(entry, Spent("busy", Used(), headroom=self._headroom(), retry_after=wait))
        await self._ask(odd, entry.reservation.place)

    def _seconds_until_there_is(self, odd: Odd) -> int:
        """An honest `retry-after`."""
        needs = {"requests": 1, "input": odd.input, "output": 1}
        buckets = self.provider.buckets
        lack = [(min(needs[name], one.capacity) - one.level) / (one.limit / 60) for name, one in buckets.items()]
        return max(1, math.ceil(max(lack)))


def cached(_: random.Random) -> Odd:
    return Odd("a", 5000, 250, 100, 4000)


def sometimes_cached(random: random.Random) -> Odd:
    return Odd("a", 5000, 5000 if random.random() < 0.3 else 100, 100, 4000)


def bimodal(random: random.Random) -> Odd:
    return Odd("a", 300, 300, 20 if random.random() < 0.9 else 4000, 8000)


def very_long(random: random.Random) -> Odd:
    return Odd("a", 300, 300, 50 if random.random() < 0.98 else 30_000, 64_000)


def unknown_and_larger(random: random.Random) -> Odd:
    return Odd(f"agent-{random.randrange(10**9)}", 1000, 3000, 100, 4000)


def unknown_and_smaller(random: random.Random) -> Odd:
    return Odd(f"agent-{random.randrange(10**9)}", 5000, 500, 100, 4000)


INPUT = Limits(6000, 120_000, 10_000_000, 1000)
MORE_INPUT = Limits(6000, 600_000, 10_000_000, 1000)
OUTPUT = Limits(6000, 10_000_000, 24_000, 1000)
WARM_UP_SECONDS, SECONDS = 30, 120


@pytest.mark.slow
@pytest.mark.parametrize(
    ("binding", "limits", "draw", "callers", "least", "refused"),
    [
        ("input", INPUT, cached, 30, 0.97, 0.01),
        ("input", MORE_INPUT, sometimes_cached, 100, 0.95, 0.1),
        ("input", INPUT, unknown_and_larger, 40, 0.95, 0.1),
        ("input", INPUT, unknown_and_smaller, 40, 0.95, 0.01),
        # What nobody knows beforehand is paid for after: a debt of a minute, in which nobody is refused, or hardly.
        ("output", OUTPUT, bimodal, 60, 0.85, 0.2),
        ("output", OUTPUT, very_long, 60, 0.95, 0.2),
    ],
)
async def test_odd_loads_use_the_budget_and_are_seldom_refused(
    gates: Gates,
    binding: str,
    limits: Limits,
    draw: Callable[[random.Random], Odd],
    callers: int,
    least: float,
    refused: float,
) -> None:
    where = Pool("sonnet", limits)
    provider = exact_provider(gates, where)
    fleet = OddFleet(gates, where, Load(callers, 0, 0), provider, draw=draw)
    await fleet.run(WARM_UP_SECONDS)
    before, asked, turned_away = fleet.produced(binding), fleet.produced("requests"), provider.refused

    await fleet.run(SECONDS)

    assert (fleet.produced(binding) - before) / (getattr(limits, binding) / 60 * SECONDS) > least
    assert provider.refused - turned_away <= refused * (fleet.produced("requests") - asked) + 5
