"""The watch: one worker of the fleet sees to all that time brings about; every worker is ready to take it.

While it watches, an idle fleet costs one plain command now and then: only a stock arq client enqueues without telling.
"""

import asyncio
import math

from shared import clock
from shared.fleet import SILENT_SECONDS, Fleet

LOOK_SECONDS = 1.0
"""The longest anything that is due waits for the watch while jobs are held."""
_STOCK_SECONDS = 1.5
"""The longest an entry of a stock arq client waits for it while no job is held."""
_TOO_SOON_SECONDS = 0.5
_QUIET_SECONDS = 25.0
"""How often all is looked at while no job is held."""
_BROKEN_SECONDS = 2.0
"""A pause in the answers of Redis after which nobody's silence means anything for a while."""


class Contact:
    """How long this process has been in touch with Redis without a break."""

    def __init__(self) -> None:
        self._since = self._last = -math.inf

    def felt(self) -> None:
        now = clock.monotonic()
        if now - self._last > _BROKEN_SECONDS:
            self._since = now
        self._last = now

    @property
    def steady(self) -> bool:
        """Long enough, up to now, that a worker of which nothing was heard meanwhile is silent by itself."""
        return clock.monotonic() - self._last <= _BROKEN_SECONDS and self._last - self._since >= SILENT_SECONDS


class Watch:
    """`look` is to be called again after so many seconds as it returns, or when `called` is set."""

    def __init__(self, fleet: Fleet, contact: Contact) -> None:
        self._fleet = fleet
        self._contact = contact
        self._mine = False
        self._quiet = False
        self._swept = -math.inf
        self._due = math.inf
        self._head: tuple[str, float] | None = None
        self.called = asyncio.Event()

    def call(self, seconds: float) -> None:
        """Something is due then, perhaps sooner than known."""
        at = clock.monotonic() + seconds
        if at < self._due:
            self._due = at
            self.called.set()

    async def look(self) -> float:
        """Raises StoreUnavailable."""
        self.called.clear()
        if not self._mine:
            self._mine = await self._fleet.take_watch()
            self._contact.felt()
        if self._mine and not self._too_soon() and not await self._nothing_new():
            await self._sweep()
        pause = _STOCK_SECONDS if self._quiet else LOOK_SECONDS
        return max(0.0, min(pause, self._due - clock.monotonic())) if self._mine else LOOK_SECONDS

    def _too_soon(self) -> bool:
        """It was only told of something that is due later."""
        return clock.monotonic() < min(self._swept + _TOO_SOON_SECONDS, self._due)

    async def _nothing_new(self) -> bool:
        """While no job is held and none is due, only a stock client can have brought something."""
        if not self._quiet or clock.monotonic() >= min(self._swept + _QUIET_SECONDS, self._due):
            return False
        before, self._head = self._head, await self._fleet.stock_entry()
        self._contact.felt()
        return self._head == before

    async def _sweep(self) -> None:
        seen = await self._fleet.sweep(judge=self._contact.steady)
        self._contact.felt()
        self._mine = seen is not None
        self._swept = clock.monotonic()
        self._due = self._swept + seen.due if seen and seen.due is not None else math.inf
        self._quiet = seen is not None and seen.held == 0
