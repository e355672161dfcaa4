"""The fleet: which workers live, and who of them has the watch.

Each worker gives a sign of life every second while it holds jobs: one plain command, whatever it holds. One of them
has the watch and sees to all that time brings about (`shared/lua/fleet_sweep.lua`), so that idle workers cost nothing;
when it dies another one takes the watch. All methods raise StoreUnavailable when Redis is away.
"""

import math
from dataclasses import dataclass

from shared import clock, keys
from shared.redis_client import Redis, reachable
from shared.scripts import script

BEAT_SECONDS = 1.0
"""How often a worker that holds jobs says that it lives."""
SILENT_SECONDS = 3.0
"""Silence after which a worker whose connection is closed, too, is dead."""
WATCH_SECONDS = 2.5
"""How long the watch is kept without a sweep while jobs are held; another worker takes it then."""
_STEP_SECONDS = 2.0
"""A sweep that comes so much later by Redis' clock than by our own: that clock was set, or the sweep was held up."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the watch saw: seconds until something is due (None: nothing is), and how many jobs workers hold."""

    due: float | None
    held: int


class Fleet:
    """This worker's part in it."""

    def __init__(self, redis: Redis, owner: str, *, lease_ms: int, retention_ms: int) -> None:
        self._redis = redis
        self._owner = owner
        self._lease_ms = lease_ms
        self._retention_ms = retention_ms
        self._ahead: float | None = None
        """Of our own clock, Redis' one was so many seconds ahead at the last sweep."""
        self._doubts_until = -math.inf

    async def enlist(self, slots: int) -> None:
        """Joins, or comes back after having been taken for dead."""
        await script("fleet_enlist")(self._redis, {}, {"owner": self._owner, "slots": slots})

    async def beat(self, slots: int) -> bool:
        """A sign of life. False when this worker is not, or no longer, of the fleet: it has lost what it held."""
        async with reachable():
            return bool(await self._redis.set(keys.ALIVE + self._owner, str(slots), px=clock.DAY_MS, xx=True))

    async def leave(self) -> None:
        """To be called when nothing is held any more."""
        await script("fleet_leave")(self._redis, {}, {"owner": self._owner})

    async def take_watch(self) -> bool:
        """Whether this worker has the watch from now on; it does not while another one has it."""
        async with reachable():
            return bool(await self._redis.set(keys.WATCH, self._owner, px=int(WATCH_SECONDS * 1000), nx=True))

    async def sweep(self, *, judge: bool) -> Look | None:
        """Sees to what is due; None when another worker has the watch.

        `judge` says that this worker has been in touch with Redis for longer than SILENT_SECONDS without a break: only
        then it may take others' silence for their death, and not when Redis' clock was set meanwhile.
        """
        latest = math.inf if self._ahead is None else clock.monotonic() + self._ahead + _STEP_SECONDS
        answer = await script("fleet_sweep")(
            self._redis,
            {},
            {
                "owner": self._owner,
                "lease_ms": self._lease_ms,
                "silent_ms": int(SILENT_SECONDS * 1000),
                "judge_by_ms": latest * 1000 if judge and clock.monotonic() >= self._doubts_until else 0,
                "watch_ms": int(WATCH_SECONDS * 1000),
                "retention_ms": self._retention_ms,
            },
        )
        if not answer:
            return None
        now_ms, due, held = answer
        if now_ms > latest * 1000:  # until all have spoken after it
            self._doubts_until = clock.monotonic() + SILENT_SECONDS
        self._ahead = now_ms / 1000 - clock.monotonic()
        return Look(None if due < 0 else due / 1000, held)

    async def stock_entry(self) -> tuple[str, float] | None:
        """The head of the queue that stock arq clients write to, who tell nobody of it: an id and its score."""
        async with reachable():
            head = await self._redis.zrange(keys.ARQ_QUEUE, 0, 0, withscores=True)
        return head[0] if head else None
