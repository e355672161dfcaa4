"""Whether Redis is away for longer than a moment, as a worker's own commands at the gate find it."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from shared import backoff, clock, log
from shared.errors import StoreUnavailable

logger = log.get(__name__)

MOMENT_SECONDS = 1.0
"""A break of the connection or a quick restart takes no longer; it is waited for."""
ASK_SECONDS = 0.5
"""How often it is asked at least, so that all workers find out at nearly the same moment that Redis is back."""


class Outage:
    """Every command belongs into `noticing`: the first in vain begins an outage, any answer ends it.

    A command in vain may be this process' own fault, which was held up for longer than a time-out. So it is asked again
    at once, and until there is an answer, and an outage counts only when it `lasts`. `over` is set while there is none.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], on_lasting: Callable[[], None]) -> None:
        """`ask` is a command in `noticing`; `on_lasting` is called when an outage has lasted for a moment."""
        self._ask = ask
        self._on_lasting = on_lasting
        self._asking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.since: float | None = None
        self.ended = -math.inf
        self.lasts = False
        self.over = asyncio.Event()
        self.over.set()

    @contextmanager
    def noticing(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable:
            if self.since is None:
                self._begin()
            raise
        if self.since is not None:
            self._end(self.since)

    def _begin(self) -> None:
        self.since = clock.monotonic()
        self.over.clear()
        self._timer = asyncio.get_running_loop().call_later(MOMENT_SECONDS, self._last)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_again())

    async def _ask_again(self) -> None:
        while self.since is not None:
            await asyncio.sleep(backoff.full_jitter(1, base=ASK_SECONDS, cap=ASK_SECONDS))
            with suppress(StoreUnavailable):
                await self._ask()

    def _last(self) -> None:
        self.lasts = True
        logger.warning("gate_without_redis", effect="calls pass by a small budget of this worker's own")
        self._on_lasting()

    def _end(self, since: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.ended = clock.monotonic()
        if self.lasts:
            logger.info("gate_with_redis_again", seconds=round(self.ended - since, 1))
        self.since, self._timer, self.lasts = None, None, False
        self.over.set()
