"""A token bucket in Redis that is booked ahead: a caller takes its share at once, and sleeps until it is due."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import redis.asyncio

from bench.gate.contender import Contender, Surroundings
from bench.gate.estimates import Estimates
from bench.gate.job import Job, Outcome
from bench.gate.patience import pause
from worker.provider import ProviderBusy, ProviderDown

_SCRIPT = Path(__file__).with_name("booked.lua").read_text("utf-8")
_KEY = "booked"


class Booked:
    """Two requests for each attempt: one books, one settles."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._redis: Any = redis.asyncio.Redis.from_url(surroundings.redis_url)
        self._script = self._redis.register_script(_SCRIPT)
        self._budget = surroundings.budget
        self._estimates = Estimates()

    async def open(self) -> None:
        await self._redis.ping()

    async def call(self, job: Job) -> Outcome:
        for failures in itertools.count(1):
            inputs, outputs = job.order.input_tokens, self._estimates.output_tokens(job.order.kind)
            wait = await self._take(1, inputs, outputs)
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                answer = await job.attempt()
            except (ProviderBusy, ProviderDown) as error:
                await self._take(-1, -inputs, -outputs)
                await asyncio.sleep(pause(error, failures))
                continue
            self._estimates.learn(job.order.kind, answer.usage.output_tokens)
            await self._take(0, 0, answer.usage.output_tokens - outputs)
            return Outcome.ANSWERED
        raise AssertionError("unreachable")

    async def close(self) -> None:
        await self._redis.aclose()

    async def _take(self, *amounts: float) -> float:
        """Of requests, input and output; negative gives back. How many seconds until they are there."""
        budget = self._budget
        return float(await self._script(keys=[_KEY], args=[budget.burst_seconds, *budget.limits(), *amounts]))


CONTENDER = Contender(
    "booked",
    Booked,
    {"default": "token buckets in Redis, booked ahead (GCRA), settled after the call"},
    ("redis", "hiredis"),
    "It knows the input exactly, reserves the mean output, waits as long as `retry-after` says, and never gives up. "
    "A place that was booked is not moved.",
)
