"""The callers of one worker: closed loops that want too much, and a trickle that wants it soon."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from bench.gate.call_log import CallLog
from bench.gate.contender import Limiter
from bench.gate.job import Job
from bench.gate.order import CHAT, WORK, Order, Orders
from bench.gate.scenario import Callers, Load, Trickle
from worker.provider import Provider

_RAMP_SECONDS = 0.5
"""The mean time after which the callers of a closed loop begin."""
_THINK_SECONDS = 0.2
"""The mean time between an answer and the next wish."""


class Crowd:
    """What they want depends on the seed alone; when they get it, on the limiter."""

    def __init__(self, limiter: Limiter, provider: Provider, log: CallLog, *, seed: str) -> None:
        self._limiter = limiter
        self._provider = provider
        self._log = log
        self._seed = seed
        self._unfinished: set[Job] = set()

    async def live(self, loads: Iterable[Load], *, until: float) -> None:
        """Until that moment; calls that are not finished are then written down as such. Raises what a limiter did."""
        callers = [asyncio.create_task(life) for load in loads for life in self._lives(load)]
        await asyncio.wait(callers, timeout=max(0.0, until - time.monotonic()), return_when=asyncio.FIRST_EXCEPTION)
        ended = time.monotonic()
        for job in list(self._unfinished):
            self._log.unfinished(job, ended)
        broken = [error for task in callers if task.done() and (error := task.exception())]
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        if broken:
            raise broken[0]

    def _lives(self, load: Load) -> Iterator[Coroutine[Any, Any, None]]:
        match load:
            case Callers():
                for number in range(load.each):
                    yield self._caller(Orders(f"{self._seed} {load.tenant} {number}", load.tenant, WORK))
            case Trickle():
                mean = len(load.workers) / load.per_second
                yield self._trickle(Orders(f"{self._seed} {load.tenant}", load.tenant, CHAT), mean)

    async def _caller(self, orders: Orders) -> None:
        await asyncio.sleep(orders.pause(_RAMP_SECONDS))
        while True:
            await self._call(orders.next())
            await asyncio.sleep(orders.pause(_THINK_SECONDS))

    async def _trickle(self, orders: Orders, mean: float) -> None:
        """Whoever asks does not wait for those who asked before."""
        async with asyncio.TaskGroup() as calls:
            while True:
                await asyncio.sleep(orders.pause(mean))
                calls.create_task(self._call(orders.next()))

    async def _call(self, order: Order) -> None:
        job = Job(order, self._provider)
        self._unfinished.add(job)
        outcome = await self._limiter.call(job)
        self._unfinished.discard(job)
        self._log.add(job, time.monotonic(), outcome)
