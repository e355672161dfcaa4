"""Waking parked jobs when their provider is back.

Not all at once: after an outage the gate lets eight calls pass at a time, and one more with each success. So each call
that succeeds wakes two parked jobs, one for the place that it leaves and one for the place that is new, until none are
left. That needs no clock and no leader: any worker's success will do, and a wake that gets lost costs a job what is
left of its own pause, a minute at most.
"""

import asyncio
from contextlib import suppress

from shared.errors import StoreUnavailable
from shared.queue import Queue

_AT_ONCE = 2


class Waker:
    """One for all jobs of a worker. `answered` is to be called with each model call that succeeded."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._done: dict[str, int] = {}
        """Of a pool: after which of its recoveries none was left to be woken."""
        self._tasks: set[asyncio.Task[None]] = set()

    def answered(self, pool: str, recoveries: int) -> None:
        """`recoveries` is how often the pool's provider has come back so far."""
        if recoveries != self._done.get(pool, 0):
            task = asyncio.create_task(self._wake(pool, recoveries))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wake(self, pool: str, recoveries: int) -> None:
        with suppress(StoreUnavailable):  # the next success tries again
            if await self._queue.wake(pool, _AT_ONCE) == 0:
                self._done[pool] = recoveries
