"""This project's gate, as a worker uses it. All that the bench knows of its insides is in this file."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

from bench.gate.contender import Contender, Surroundings
from bench.gate.job import Job, Outcome
from shared import backoff
from shared.gate import RENEW_SECONDS, Gate, Limits, Pool
from shared.redis_client import close, connect, ping
from shared.sections import DEFAULT_MODEL
from worker import pricing
from worker.background import every
from worker.model_call import ModelCaller, TargetClient
from worker.provider import Answer, ModelRequest, ProviderBusy, ProviderDown, ProviderError

_IN_FLIGHT = 200
"""More than are ever needed: the budget is to bind."""
_PARK_BASE_SECONDS = 5.0
_PARK_CAP_SECONDS = 60.0
"""As worker.executor parks a job whose call's attempts are used up."""


class Sluice:
    def __init__(self, surroundings: Surroundings) -> None:
        budget = surroundings.budget
        limits = Limits(int(budget.requests), int(budget.input_tokens), int(budget.output_tokens), _IN_FLIGHT)
        self._redis = connect(surroundings.redis_url)
        self._gate = Gate(self._redis)
        self._caller = ModelCaller(self._gate)
        self._pool = Pool("bench", limits)
        self._background: asyncio.Task[None] | None = None

    async def open(self) -> None:
        pricing.warm_up()
        await ping(self._redis)
        self._background = asyncio.create_task(every(RENEW_SECONDS, "gate", self._gate.renew))

    async def call(self, job: Job) -> Outcome:
        """As a job of the service: when the attempts are used up it is parked, and goes on later."""
        target = TargetClient("bench", "anthropic", DEFAULT_MODEL, self._pool, _Attempts(job))
        for parks in itertools.count(1):
            try:
                await self._caller.call(target, job.order.kind, 1, job.request, _unheard)
            except (ProviderBusy, ProviderDown) as error:
                await asyncio.sleep(_parked(error, parks))
            else:
                return Outcome.ANSWERED
        raise AssertionError("unreachable")

    async def close(self) -> None:
        if self._background is not None:
            self._background.cancel()
            with suppress(asyncio.CancelledError):
                await self._background
        await close(self._redis)


class _Attempts:
    """The provider as one job's attempts see it. Implements `worker.provider.Provider`."""

    def __init__(self, job: Job) -> None:
        self._job = job

    async def stream(self, request: ModelRequest, on_text: Callable[[str], None]) -> Answer:
        return await self._job.attempt()

    async def probe(self) -> None:
        """Nobody asks."""

    async def close(self) -> None:
        """The worker closes the client that all jobs share."""


def _parked(error: ProviderError, parks: int) -> float:
    growing = backoff.exponential(parks, base=_PARK_BASE_SECONDS, cap=_PARK_CAP_SECONDS)
    return backoff.spread(max(error.retry_after or 0, growing))


def _unheard(text: str) -> None:
    """Nobody reads it."""


CONTENDER = Contender(
    "sluice",
    Sluice,
    {"default": "worker.model_call.ModelCaller and the gate as shipped"},
    ("redis", "hiredis", "tenacity"),
    "A call whose attempts are used up is parked as worker.executor parks its job, and made again.",
)
