"""When this worker has to come to a gate by itself."""

import asyncio
from collections.abc import Callable

from shared.pool import Pool


class Visits:
    """At most one to come per pool, the soonest."""

    def __init__(self, visit: Callable[[Pool], object]) -> None:
        self._visit = visit
        self._timers: dict[Pool, asyncio.TimerHandle] = {}

    def within(self, pool: Pool, seconds: float) -> None:
        """There is one by then."""
        timer = self._timers.get(pool)
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timers[pool] = loop.call_at(at, self._go, pool)

    def _go(self, pool: Pool) -> None:
        del self._timers[pool]
        self._visit(pool)
