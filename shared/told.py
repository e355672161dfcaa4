"""What a call that waits in line is told: that it may start, that the gate has forgotten it, or that Redis is away."""

import asyncio
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.errors import NoRoomYet

COME_AGAIN_MS = -1
"""In place of how long to wait: the grant is called back."""


class RedisAway(Exception):
    """For longer than a moment: the call is to pass by other means."""


class CalledBack(Exception):
    """What had been granted is not there after all. `place` is where the call stood in line."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


@dataclass(frozen=True, slots=True)
class Grant:
    """The call may start in so many seconds. `tries` and `leaves`: see Reservation."""

    wait: float
    tries: bool
    leaves: Mapping[str, int]

    @classmethod
    def said(cls, wait_ms: int, tries: int, leaves: Iterable[int]) -> "Grant":
        """As the gate says it; what is left of requests, input and output may be omitted."""
        return cls(wait_ms / 1000, bool(tries), dict(zip(("requests", "input", "output"), leaves, strict=False)))


class Told:
    """Word for one call. Only the first counts."""

    def __init__(self) -> None:
        self._word: asyncio.Future[Grant | None] = asyncio.get_running_loop().create_future()
        self._called_back = asyncio.Event()

    def tell(self, grant: Grant | None) -> None:
        """None: it is to enter again."""
        if not self._word.done():
            self._word.set_result(grant)

    def call_back(self) -> None:
        """What was, or is about to be, granted is not there: it is to come again, unless it has started."""
        self._called_back.set()

    async def may_start(self, wait: float) -> bool:
        """Returns in so many seconds, or False as soon as it is called back."""
        if wait > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._called_back.wait()
        return not self._called_back.is_set()

    def call_off(self) -> None:
        """Redis is away."""
        if not self._word.done():
            self._word.set_exception(RedisAway())
            self._word.exception()  # a call that is just entering never hears of it

    async def heard(self, patience: float, leaving: asyncio.Event, *, expected: float, outage: bool) -> Grant | None:
        """What the waiting call was told, None when it heard nothing in time. Raises NoRoomYet, RedisAway."""
        if expected <= patience and not leaving.is_set():
            either: list[asyncio.Future[Any]] = [self._word, asyncio.create_task(leaving.wait())]
            try:
                timeout = None if patience == math.inf else patience
                await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                either[1].cancel()
            if self._word.done():
                return self._word.result()
            if not leaving.is_set():
                return None
        raise NoRoomYet(expected, outage=outage)
