"""As most gateways do it: counters of each window in Redis, raised before the call and corrected after it."""

import asyncio
import itertools
import random
import time
from typing import Any

import redis.asyncio

from bench.gate.budget import DIMENSIONS, SECONDS_PER_MINUTE
from bench.gate.contender import Contender, Surroundings
from bench.gate.estimates import Estimates
from bench.gate.job import Job, Outcome
from bench.gate.patience import pause
from worker.provider import ProviderBusy, ProviderDown

WINDOW_SECONDS = 12
_KEPT_SECONDS = 5 * WINDOW_SECONDS
_SPREAD_SECONDS = 0.1
"""Over which callers come back when a window has begun."""

Need = tuple[int, int, int]
"""Requests, input tokens, output tokens."""


class FixedWindow:
    def __init__(self, surroundings: Surroundings) -> None:
        self._redis: Any = redis.asyncio.Redis.from_url(surroundings.redis_url)
        worth = surroundings.budget.worth(WINDOW_SECONDS)
        self._limits = dict(zip(DIMENSIONS, worth, strict=True))
        self._estimates = Estimates()

    async def open(self) -> None:
        await self._redis.ping()

    async def call(self, job: Job) -> Outcome:
        for failures in itertools.count(1):
            need: Need = (1, job.order.input_tokens, int(self._estimates.output_tokens(job.order.kind)))
            window = await self._enter(need)
            try:
                answer = await job.attempt()
            except (ProviderBusy, ProviderDown) as error:
                await self._add(window, (-need[0], -need[1], -need[2]))
                await asyncio.sleep(pause(error, failures))
                continue
            self._estimates.learn(job.order.kind, answer.usage.output_tokens)
            await self._add(window, (0, 0, answer.usage.output_tokens - need[2]))
            return Outcome.ANSWERED
        raise AssertionError("unreachable")

    async def close(self) -> None:
        await self._redis.aclose()

    async def _enter(self, need: Need) -> int:
        """Waits for a window with room; its number. A call larger than a whole one gets one for itself."""
        while True:
            now = time.time()
            window = int(now // WINDOW_SECONDS)
            counts = await self._add(window, need)
            if all(
                count <= max(self._limits[name], amount)
                for name, count, amount in zip(DIMENSIONS, counts, need, strict=True)
            ):
                return window
            await self._add(window, (-need[0], -need[1], -need[2]))
            await asyncio.sleep((window + 1) * WINDOW_SECONDS - now + random.uniform(0, _SPREAD_SECONDS))

    async def _add(self, window: int, amounts: Need) -> list[int]:
        """The counts of the window after that."""
        pipeline = self._redis.pipeline()
        for name, amount in zip(DIMENSIONS, amounts, strict=True):
            pipeline.incrby(f"window:{window}:{name}", amount)
            pipeline.expire(f"window:{window}:{name}", _KEPT_SECONDS)
        answers = await pipeline.execute()
        return [int(count) for count in answers[::2]]


CONTENDER = Contender(
    "fixed_window",
    FixedWindow,
    {"default": f"INCRBY and EXPIRE per window of {WINDOW_SECONDS} s, reserved before the call, corrected after it"},
    ("redis", "hiredis"),
    f"Its minute has {WINDOW_SECONDS} s instead of {SECONDS_PER_MINUTE}, so that the measured part is two whole ones. "
    "It knows the input exactly, reserves the mean output, waits as long as `retry-after` says, and never gives up.",
)
