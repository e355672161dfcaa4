"""Somebody else begins to use the same key. What headers say of that is as old as an answer takes to begin."""

import heapq
from dataclasses import dataclass, field, replace

import pytest

from shared.gate_news import begun
from shared.headers_seen import levels_told_within
from shared.pool import Headroom, Limits, Pool, Reservation
from tests.properties.gate_fleet import Fleet, Load
from tests.properties.provider_model import Bucket, Provider
from tests.shared.gating import Gates

LIMITS = Limits(3000, 3_600_000, 10_000_000, 200)
LOAD = Load(callers=128, input=1500, output=10, spread=0.9, workers=8, latency=0.015)
TWO_SECONDS = 1 / 30
"""What a bucket holds, of a minute's worth."""
STEP_SECONDS = 0.01


@dataclass
class LateHeaders(Fleet):
    """Answers begin long after their calls were let in; of what they say, some of it is told, and somewhat later."""

    begun: list[tuple[float, str, Headroom]] = field(default_factory=list)
    told_last: float = 0
    on_their_way: list[tuple[float, str, Headroom]] = field(default_factory=list)

    async def _arrive(self) -> None:
        while self.arriving and self.arriving[0][0] <= self.gates.now:
            _, call_id = heapq.heappop(self.arriving)
            input_tokens, output_tokens = self.sizes[call_id]
            if self.provider.begin(call_id, self.gates.now, input_tokens, output_tokens):
                answer = self.provider.calls[call_id]
                answer.since += self.random.uniform(0.12, 0.28)
                heapq.heappush(self.begun, (answer.since, call_id, self._in_thousands()))
            else:
                await self._refused(call_id)
        while self.begun and self.begun[0][0] <= self.gates.now:
            _, call_id, headroom = heapq.heappop(self.begun)
            await self._hear(call_id, headroom)
        await self._tell([news for news in self.on_their_way if news[0] <= self.gates.now])

    async def _end_calls(self) -> None:
        """With its end, at the latest, goes how a call began."""
        ending = set(self.provider.done(self.gates.now))
        await self._tell([news for news in self.on_their_way if news[1] in ending])
        await super()._end_calls()

    async def _tell(self, news: list[tuple[float, str, Headroom]]) -> None:
        self.on_their_way = [each for each in self.on_their_way if each not in news]
        for _, call_id, headroom in news:
            await self.gates.worker().commands.tell(self.pool, begun(call_id, headroom))

    async def _hear(self, call_id: str, headroom: Headroom) -> None:
        within = levels_told_within(await self._granted(call_id), headroom, self.gates.now - self.told_last)
        if within is not None:
            self.told_last = self.gates.now
            at = self.gates.now + self.random.uniform(0, within)
            self.on_their_way.append((at, call_id, headroom))

    async def _granted(self, call_id: str) -> Reservation:
        leaves = await self.gates.leaves(self.pool, call_id)
        return replace(self.entries[call_id].reservation, leaves=leaves)

    def _in_thousands(self) -> Headroom:
        """As the provider says what is left of large limits."""
        told = self._headroom()
        tokens = {name: round(left / 1000) * 1000 for name, left in told.remaining.items() if name != "requests"}
        return replace(told, remaining={**told.remaining, **tokens})


@pytest.mark.parametrize("seed", range(3))
async def test_who_comes_to_share_a_key_makes_nobody_be_refused(gates: Gates, seed: int) -> None:
    limits = {"requests": LIMITS.requests, "input": LIMITS.input, "output": LIMITS.output}
    buckets = {name: Bucket(limit, TWO_SECONDS, limit * TWO_SECONDS, gates.now) for name, limit in limits.items()}
    provider = Provider(buckets)
    fleet = LateHeaders(gates, Pool("sonnet", LIMITS), LOAD, provider, seed=seed)
    await fleet.run(8, step=STEP_SECONDS)
    before = fleet.produced("input")

    provider.advance(gates.now)
    buckets["input"].foreign = 0.5
    await fleet.run(6, step=STEP_SECONDS)

    assert provider.refused == 0
    assert fleet.produced("input") - before > 0.97 * 6 * LIMITS.input / 60 / 2
