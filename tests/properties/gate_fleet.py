"""A fleet that calls an exact provider through the real gate, in a time of its own."""

import heapq
import itertools
import random
from dataclasses import dataclass

from shared.gate_news import begun
from shared.pool import Headroom, Pool, Spent, Used
from tests.properties.provider_model import Bucket, Provider
from tests.shared.gating import Entry, Gates, call

STEP_SECONDS = 0.02


@dataclass(frozen=True)
class Load:
    """`callers` ask again as soon as they have an answer. Sizes in tokens are spread by `spread` (0: all alike)."""

    callers: int
    input: int
    output: int
    spread: float = 0.0
    workers: int = 4
    latency: float = 0.1


@dataclass
class Fleet:
    gates: Gates
    pool: Pool
    load: Load
    provider: Provider
    seed: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.entries: dict[str, Entry] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.arriving: list[tuple[float, str]] = []
        self.started: set[str] = set()
        self.numbers = itertools.count(1)

    async def run(self, seconds: float, *, asking: bool = True, step: float = STEP_SECONDS) -> None:
        """Lets the fleet work for so long; without `asking` nobody asks any more."""
        for _ in range(round(seconds / step)):
            await self.gates.later(step, self.pool, step=step)
            await self._end_calls()
            await self._arrive()
            while asking and len(self.entries) < self.load.callers:
                await self._enter()
            await self._start_granted()

    async def _enter(self, place: str = "", sizes: tuple[int, int] | None = None) -> None:
        input_tokens, output_tokens = sizes or (self._size(self.load.input), self._size(self.load.output))
        worker = f"w{next(self.numbers) % self.load.workers}"
        # What it will say nobody knows beforehand; what is asked is known but for a tenth.
        wanted = call(input=input_tokens, output=20 * self.load.output, place=place)
        entry = await self.gates.enter(self.pool, wanted, worker=worker)
        self.entries[entry.id] = entry
        self.sizes[entry.id] = (input_tokens, output_tokens)

    def _size(self, usual: int) -> int:
        if not self.load.spread:
            return usual
        return max(1, round(usual * self.random.lognormvariate(-(self.load.spread**2) / 2, self.load.spread)))

    async def _start_granted(self) -> None:
        """A granted call arrives at the provider a moment after."""
        for call_id in await self.gates.in_flight(self.pool) - self.started:
            self.started.add(call_id)
            delay = self.load.latency * self.random.uniform(0.5, 1.5)
            heapq.heappush(self.arriving, (self.gates.now + delay + HORIZON_SECONDS, call_id))

    async def _arrive(self) -> None:
        while self.arriving and self.arriving[0][0] <= self.gates.now:
            _, call_id = heapq.heappop(self.arriving)
            input_tokens, output_tokens = self.sizes[call_id]
            if self.provider.begin(call_id, self.gates.now, input_tokens, output_tokens):
                if any(left < 0.2 * self.provider.buckets[name].limit for name, left in self._remaining().items()):
                    await self.gates.worker().commands.tell(self.pool, begun(call_id, self._headroom()))
            else:
                await self._refused(call_id)

    async def _refused(self, call_id: str) -> None:
        entry, sizes = self.entries.pop(call_id), self.sizes.pop(call_id)
        self.started.discard(call_id)
        await self.gates.leave(entry, Spent("busy", Used(), headroom=self._headroom(), retry_after=1))
        await self._enter(entry.reservation.place, sizes)

    async def _end_calls(self) -> None:
        for call_id in self.provider.done(self.gates.now):
            del self.provider.calls[call_id]
            entry, (input_tokens, output_tokens) = self.entries.pop(call_id), self.sizes.pop(call_id)
            self.started.discard(call_id)
            await self.gates.ends(entry, input=input_tokens, output=output_tokens)

    def _remaining(self) -> dict[str, int]:
        return {name: max(0, int(bucket.now(self.gates.now))) for name, bucket in self.provider.buckets.items()}

    def _headroom(self) -> Headroom:
        return Headroom({name: int(one.limit) for name, one in self.provider.buckets.items()}, self._remaining())

    def produced(self, dimension: str) -> float:
        """What the provider has counted so far."""
        return self.provider.counted[dimension]


HORIZON_SECONDS = 0.12
"""A call may be granted so long before it may start."""


def exact_provider(gates: Gates, pool: Pool, *, burst: float = 0.1) -> Provider:
    """Its buckets are full."""
    limits = {"requests": pool.limits.requests, "input": pool.limits.input, "output": pool.limits.output}
    return Provider({name: Bucket(limit, burst, limit * burst, gates.now) for name, limit in limits.items()})
