"""What a call that waits in line is told: that it may start, that the gate has forgotten it, or that Redis is away."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import NoRoomYet


class RedisAway(Exception):
    """For longer than a moment: the call is to pass by other means."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The call may start in so many seconds. `leaves`: see Reservation."""

    wait: float
    leaves: Mapping[str, int] = field(default_factory=dict)


class Told:
    """Word for one call. Only the first counts."""

    def __init__(self) -> None:
        self._word: asyncio.Future[Grant | None] = asyncio.get_running_loop().create_future()

    def tell(self, grant: Grant | None) -> None:
        """None: it is to enter again."""
        if not self._word.done():
            self._word.set_result(grant)

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
