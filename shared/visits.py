"""When this worker has to come to a gate by itself."""

import asyncio
from collections.abc import Callable

from shared.pool import Pool


class Visits:
    """At most one to come per pool, the soonest."""

    def __init__(self, visit: Callable[[Pool], object]) -> None:
        self._visit = visit
        self._to_come: dict[Pool, tuple[float, asyncio.Handle]] = {}

    def within(self, pool: Pool, seconds: float) -> None:
        """There is one by then."""
        loop = asyncio.get_running_loop()
        at, to_come = loop.time() + seconds, self._to_come.get(pool)
        if to_come is not None:
            if to_come[0] <= at:
                return
            to_come[1].cancel()
        self._to_come[pool] = at, loop.call_at(at, self._go, pool)

    def call_off(self, pool: Pool) -> None:
        """There is none, until one is asked for again."""
        if to_come := self._to_come.pop(pool, None):
            to_come[1].cancel()

    def _go(self, pool: Pool) -> None:
        del self._to_come[pool]
        self._visit(pool)
