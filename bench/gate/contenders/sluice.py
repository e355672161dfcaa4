"""This project's gate, as a worker uses it. All that the bench knows of its insides is in this file."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bench.gate.contender import Contender, Surroundings
from bench.gate.job import Job, Outcome
from shared import ids
from shared.errors import NoRoomYet
from shared.gate import KEEP_SECONDS, Gate
from shared.job import Priority
from shared.listener import listen
from shared.pool import Asker, Headroom, Limits, Pool
from shared.redis_client import close, connect, ping
from shared.sections import DEFAULT_MODEL
from shared.usage import Usage
from worker import pricing
from worker.background import every
from worker.model_call import ModelCaller, TargetClient
from worker.provider import Answer, ModelRequest, ProviderBusy, ProviderDown, unheard

_IN_FLIGHT = 200
"""More than are ever needed: the budget is to bind."""
_PATIENCE_SECONDS = 60.0
"""Longer than any run: a job keeps its slot, so that a wait is one wait."""


class Sluice:
    def __init__(self, surroundings: Surroundings) -> None:
        budget = surroundings.budget
        limits = Limits(int(budget.requests), int(budget.input_tokens), int(budget.output_tokens), _IN_FLIGHT)
        self._redis = connect(surroundings.redis_url)
        self._gate = Gate(self._redis, ids.new_worker_id())
        self._caller = ModelCaller(self._gate, _PATIENCE_SECONDS)
        self._pool = Pool("bench", limits)
        self._background: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        pricing.warm_up()
        await ping(self._redis)
        connected = asyncio.Event()
        hearing = listen(self._redis, self._gate.channel, self._gate.hear, connected.set)
        self._background = [
            asyncio.create_task(hearing),
            asyncio.create_task(every(KEEP_SECONDS, "gate", self._gate.keep)),
        ]
        await connected.wait()

    async def call(self, job: Job) -> Outcome:
        """As a job of the service: when the attempts are used up it goes on later."""
        target = TargetClient("bench", "anthropic", DEFAULT_MODEL, self._pool, _Attempts(job))
        asker = Asker(
            job.order.kind, job.order.tenant, 1, Priority.HIGH if job.order.interactive else Priority.STANDARD
        )

        async def asked() -> ModelRequest:
            return job.request

        while True:
            with suppress(ProviderBusy, ProviderDown, NoRoomYet):
                await self._caller.call(target, asker, 1, asked, _unheard)
                return Outcome.ANSWERED

    async def close(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._gate.close()
        await close(self._redis)


class _Attempts:
    """The provider as one job's attempts see it. Implements `worker.provider.Provider`."""

    def __init__(self, job: Job) -> None:
        self._job = job

    async def stream(
        self,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_headroom: Callable[[Headroom], None],
        on_usage: Callable[[Usage], None] = unheard,
    ) -> Answer:
        return await self._job.attempt(on_headroom)

    async def probe(self) -> None:
        """Nobody asks."""

    async def close(self) -> None:
        """The worker closes the client that all jobs share."""


def _unheard(text: str) -> None:
    """Nobody reads it."""


CONTENDER = Contender(
    "sluice",
    Sluice,
    {"default": "worker.model_call.ModelCaller and the gate as shipped"},
    ("redis", "hiredis", "tenacity"),
    "A call whose attempts are used up is made again, as when its job was parked; interactive: high priority.",
)
