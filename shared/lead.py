"""Who leads at a gate comes again when the next call in line can pass."""

import asyncio
from collections.abc import Callable

from shared.pool import Pool

_LEAST_PAUSE_SECONDS = 0.01


class Lead:
    """This worker's part in it: at most one visit to come per pool, the soonest."""

    def __init__(self, come_again: Callable[[Pool], None]) -> None:
        self._come_again = come_again
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __call__(self, pool: Pool, next_ms: int, leads: int) -> None:
        """What every script answers: ms until somebody is to come again, -1 for never, and whether it is us."""
        if not leads or next_ms < 0:
            return
        timer = self._timers.get(pool.name)
        loop = asyncio.get_running_loop()
        at = loop.time() + max(_LEAST_PAUSE_SECONDS, next_ms / 1000)
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timers[pool.name] = loop.call_at(at, self._go, pool)

    def _go(self, pool: Pool) -> None:
        del self._timers[pool.name]
        self._come_again(pool)
