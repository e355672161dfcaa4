"""The usual post: a semaphore in each process, and tenacity's exponential backoff around the call."""

import asyncio

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from bench.gate.contender import Contender, Surroundings
from bench.gate.job import Job, Outcome
from worker.provider import ProviderBusy, ProviderDown

_AT_ONCE = 8
_ATTEMPTS = 6
_RETRIED = (ProviderBusy, ProviderDown)


class Semaphore:
    """No process knows of the others, and a call that backs off keeps its slot."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def call(self, job: Job) -> Outcome:
        async with self._slots:
            try:
                async for attempt in AsyncRetrying(
                    stop=stop_after_attempt(_ATTEMPTS),
                    wait=wait_random_exponential(min=1, max=60),
                    retry=retry_if_exception_type(_RETRIED),
                    reraise=True,
                ):
                    with attempt:
                        await job.attempt()
            except _RETRIED:
                return Outcome.GIVEN_UP
        return Outcome.ANSWERED

    async def close(self) -> None:
        """There is nothing to close."""


def _make(surroundings: Surroundings) -> Semaphore:
    return Semaphore()


CONTENDER = Contender(
    "semaphore",
    _make,
    {"default": f"asyncio.Semaphore({_AT_ONCE}) per process, wait_random_exponential(1, 60), {_ATTEMPTS} attempts"},
    ("tenacity",),
    "What most posts advise, without `retry-after`. It needs no Redis, and no process knows of the others.",
)
