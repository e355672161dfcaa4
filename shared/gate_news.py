"""What a worker has to tell the gate of its calls, as `shared/lua/gate_news.lua` takes it, and how it gets there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from shared import log
from shared.errors import StoreUnavailable
from shared.pool import Headroom, Pool, Reservation, Spent
from shared.redis_client import until_reachable
from shared.visits import Visits

logger = log.get(__name__)

_LONGEST_PAUSE_SECONDS = 3600.0

Item = dict[str, Any]


def begun(call_id: str, headroom: Headroom) -> Item:
    """The answer to a call begins with this."""
    return {
        "id": call_id,
        "limit": dict(headroom.limit),
        "remaining": dict(headroom.remaining),
        "input": False if headroom.input_tokens is None else headroom.input_tokens,
    }


def ended(reservation: Reservation, spent: Spent, jitter: float) -> Item:
    """A call has ended so, or does not want to pass any more. `jitter`, 0 to 1, spreads who shares a provider."""
    used, retry_after = spent.used, spent.retry_after
    end: Item = {
        "id": reservation.id,
        "outcome": spent.outcome,
        "used": {"requests": used.requests, "input": used.input, "output": used.output} if used else False,
    }
    if spent.outcome == "ok":
        return end
    return end | {
        "limit": dict(spent.headroom.limit),
        # By the end of an answer, what was left at its beginning is no news.
        "remaining": dict(spent.headroom.remaining) if spent.outcome == "busy" else {},
        "retry_ms": -1 if retry_after is None else min(retry_after, _LONGEST_PAUSE_SECONDS) * 1000,
        "jitter": jitter,
    }


class News:
    """What nobody waits for: it travels with the next request to its pool, or by itself when there is none in time. So
    the end of a turn and the beginning of the next are one request."""

    def __init__(self, send: Callable[[Pool], Awaitable[None]]) -> None:
        """`send` makes a request that takes what is to be told `along`. Raises StoreUnavailable."""
        self._send = send
        self._items: dict[Pool, list[Item]] = {}
        self._visits = Visits(self._go)
        self._sending: dict[Pool, asyncio.Task[None]] = {}
        self._closed = False

    def tell(self, pool: Pool, item: Item, within: float) -> None:
        """At the latest in so many seconds."""
        self._items.setdefault(pool, []).append(item)
        self._visits.within(pool, within)

    @contextmanager
    def along(self, pool: Pool) -> Iterator[list[Item]]:
        """What a request to the pool takes along. When it may not have got there it is told again, which is safe."""
        items = self._items.pop(pool, [])
        self._visits.call_off(pool)
        try:
            yield items
        except (StoreUnavailable, asyncio.CancelledError):
            if items:
                self._items[pool] = items + self._items.get(pool, [])
                self._visits.within(pool, 0)
            raise

    async def close(self) -> None:
        """Tells what is left, if Redis is there. What comes after goes with requests only."""
        self._closed = True
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await asyncio.gather(*(_whatever_comes(pool, self._send(pool)) for pool in list(self._items)))

    def _go(self, pool: Pool) -> None:
        if self._items.get(pool) and pool not in self._sending and not self._closed:
            self._sending[pool] = asyncio.create_task(self._deliver(pool))

    async def _deliver(self, pool: Pool) -> None:
        try:
            await _whatever_comes(pool, until_reachable(partial(self._send, pool)))
        finally:
            del self._sending[pool]
        self._go(pool)  # what has come meanwhile


async def _whatever_comes(pool: Pool, telling: Awaitable[None]) -> None:
    """Nobody waits for it who could do anything about an error."""
    try:
        await telling
    except Exception as error:
        logger.warning("gate_not_settled", pool=pool.name, error=f"{type(error).__name__}: {error}")
