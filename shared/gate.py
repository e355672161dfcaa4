"""The gate: one Redis-coordinated budget per quota pool that every model call of every worker passes.

What may pass when is decided by `shared/lua/gate_*.lua`; here is a worker's side of it. A call enters, is granted at
once or told later, and leaves with what it really used. A reservation is good for one attempt.
"""

import asyncio
import json
import math
import random
from contextlib import suppress
from functools import partial
from typing import Any

from shared import clock, ids, keys, log
from shared.errors import NoRoomYet, RequestTooLarge, StoreUnavailable
from shared.job import Priority
from shared.pool import NOTHING_SAID, Asker, Call, Headroom, Pool, Reservation, Spent, Used
from shared.redis_client import Redis, until_reachable
from shared.scripts import script

logger = log.get(__name__)

KEEP_SECONDS = 2.0
"""How often a worker with calls at the gate says that it lives, and asks for what it may have missed."""
_OBSERVE_SECONDS = 0.5
_DOUBT_SECONDS = 120.0
"""How long after a call was cancelled unanswered, its command may still be on its way."""
_MISJUDGED, _MATTERS = 0.25, 0.002
_LONGEST_PAUSE_SECONDS = 3600.0
_LEAST_PAUSE_SECONDS = 0.01
_NOBODY = Call(Asker(""), 0, 0)
_CLASS = {Priority.HIGH: 1, Priority.STANDARD: 2, Priority.LOW: 3}


class Gate:
    """This worker's side. `keep` is to be called every KEEP_SECONDS, `hear` with what is said on its channel."""

    def __init__(self, redis: Redis, owner: str) -> None:
        self._redis = redis
        self._owner = owner
        self._pools: dict[str, Pool] = {}
        self._waiting: dict[str, dict[str, asyncio.Future[float | None]]] = {}
        self._in_flight: dict[str, set[str]] = {}
        self._observed: dict[str, float] = {}
        self._limits_seen: dict[str, dict[str, int]] = {}
        self._doubts_until: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def channel(self) -> str:
        """Where grants are told."""
        return keys.GRANTS + self._owner

    async def reserve(
        self,
        pool: Pool,
        call: Call,
        patience: float = math.inf,
        leaving: asyncio.Event | None = None,
        in_outage: bool = True,
    ) -> Reservation:
        """Returns when the call may start. A cancel gives its place back.

        Raises RequestTooLarge, and NoRoomYet when it would take, or has taken, longer than `patience` in seconds, or
        when `leaving` is set, or at once in an outage of the provider unless it is to wait then, too (`in_outage`).
        """
        call_id = ids.new_call_id()
        self._pools[pool.name] = pool
        waiting = self._waiting.setdefault(pool.name, {})
        place, came, awaited = call.place, clock.monotonic(), False
        try:
            while True:
                told = waiting[call_id] = asyncio.get_running_loop().create_future()
                answer = await until_reachable(partial(self._enter, call_id, pool, call, place))
                if answer[0] == "too_large":
                    raise RequestTooLarge(
                        f"the call needs about {answer[1]} input tokens, "
                        f"but {pool.name} allows {answer[2]} in a whole minute"
                    )
                if answer[0] == "spent":
                    raise NoRoomYet(0, outage=False)
                what, ms, input_tokens, output_tokens, place, next_ms, leads = answer
                if what == "shut" and not in_outage:
                    raise NoRoomYet(ms / 1000, outage=True)
                self._lead(pool, next_ms, leads)
                awaited = what in ("shut", "tries")
                wait: float | None = ms / 1000
                if what in ("shut", "waiting"):
                    left = came + patience - clock.monotonic()
                    wait = await _heard(
                        told, left, leaving or asyncio.Event(), expected=ms / 1000, outage=what == "shut"
                    )
                if wait is not None:  # None: the gate has forgotten it
                    break
            self._in_flight.setdefault(pool.name, set()).add(call_id)
            if wait > 0:
                await asyncio.sleep(wait)
            return Reservation(call_id, pool, call, input_tokens, output_tokens, place, awaited)
        except BaseException:
            self._doubts_until[pool.name] = clock.monotonic() + _DOUBT_SECONDS
            await self.settle(Reservation(call_id, pool, call, 0, 0, ""), Spent(used=Used()))
            raise
        finally:
            waiting.pop(call_id, None)

    def observe(self, reservation: Reservation, headroom: Headroom) -> None:
        """To be called when an answer begins: what its headers say is news only then."""
        pool, now = reservation.pool, clock.monotonic()
        news = headroom.limit and headroom.limit != self._limits_seen.get(pool.name)
        due = headroom.scarce and now - self._observed.get(pool.name, 0) >= _OBSERVE_SECONDS
        if news or due or reservation.awaited or _misjudged(reservation, headroom):
            self._limits_seen[pool.name] = dict(headroom.limit)
            self._observed[pool.name] = now
            self._in_background(self._observe(pool, reservation.id, headroom))

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Ends a call: frees its place, corrects the budget by what was used, learns from it.

        Never raises: an answer that was paid for must not be lost to the books. Without Redis it is done later, and
        when it is cancelled it goes on in the background.
        """
        self._in_flight.get(reservation.pool.name, set()).discard(reservation.id)
        jitter = random.random()  # noqa: S311  (spreads fleets)
        await asyncio.shield(self._in_background(self._settle(reservation, spent, jitter)))

    async def _settle(self, reservation: Reservation, spent: Spent, jitter: float) -> None:
        try:
            await self._leave(reservation, spent, jitter)
        except StoreUnavailable:
            self._in_background(until_reachable(lambda: self._leave(reservation, spent, jitter)))
        except Exception as error:
            logger.warning("gate_not_settled", pool=reservation.pool.name, error=f"{type(error).__name__}: {error}")

    def hear(self, text: str) -> None:
        """A grant, from the channel."""
        call_id, wait_ms, pool_name = text.split(" ", 2)
        if told := self._waiting.get(pool_name, {}).get(call_id):
            _tell(told, float(wait_ms) / 1000)
        elif call_id not in self._in_flight.get(pool_name, ()) and pool_name in self._pools:
            # It has been cancelled, and its command came after its leave.
            gone = Reservation(call_id, self._pools[pool_name], _NOBODY, 0, 0, "")
            self._in_background(self.settle(gone, Spent(used=Used())))

    async def keep(self) -> None:
        """Says that this worker lives, and finds out what it missed. Raises StoreUnavailable."""
        for name, pool in list(self._pools.items()):
            waiting = self._waiting.get(name, {})
            if not waiting and not self._in_flight.get(name) and not self._doubtful(name):
                continue
            next_ms, leads, granted, unknown, _living = await self._kept(pool, list(waiting))
            for call_id, wait_ms in zip(granted[::2], granted[1::2], strict=True):
                _tell(waiting.get(call_id), wait_ms / 1000)
            for call_id in unknown:
                _tell(waiting.get(call_id), None)
            self._lead(pool, next_ms, leads)

    def _lead(self, pool: Pool, next_ms: int, leads: int) -> None:
        """Comes again when the next call in line can pass, if that is this worker's part."""
        if not leads or next_ms < 0:
            return
        timer = self._timers.get(pool.name)
        loop = asyncio.get_running_loop()
        at = loop.time() + max(_LEAST_PAUSE_SECONDS, next_ms / 1000)
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timers[pool.name] = loop.call_at(at, self._come_again, pool)

    def _come_again(self, pool: Pool) -> None:
        del self._timers[pool.name]
        self._in_background(self._observe(pool))

    async def _observe(self, pool: Pool, call_id: str = "", headroom: Headroom = NOTHING_SAID) -> None:
        with suppress(StoreUnavailable):  # it is no news any more; the lead passes to whoever comes next
            self._lead(pool, *await self._said(pool, headroom, call_id))

    def _in_background(self, doing: Any) -> "asyncio.Task[Any]":
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _enter(self, call_id: str, pool: Pool, call: Call, place: str) -> Any:
        wanted = {
            "tenant": call.asker.tenant,
            "weight": call.asker.weight,
            "class": _CLASS[call.asker.priority],
            "agent": call.asker.agent,
            "turn": call.turn,
            "characters": call.characters,
            "max_output": call.max_output_tokens,
            "place": float(place) if place else False,
            "again": bool(call.place),
        }
        return await script("gate_enter")(
            self._redis,
            _keys(pool) | _estimates(pool),
            {
                "asking": call_id,
                "worker": self._owner,
                "call": json.dumps(wanted),
                "limits": pool.limits.as_json(),
            },
        )

    async def _said(self, pool: Pool, headroom: Headroom, call_id: str = "") -> Any:
        said = {
            "limit": dict(headroom.limit),
            "remaining": dict(headroom.remaining),
            "input": False if headroom.input_tokens is None else headroom.input_tokens,
        }
        return await script("gate_observe")(
            self._redis,
            _keys(pool),
            {
                "worker": self._owner,
                "id": call_id,
                "said": json.dumps(said) if headroom is not NOTHING_SAID else "",
                "limits": pool.limits.as_json(),
            },
        )

    def _doubtful(self, pool_name: str) -> bool:
        """Whether the gate may hold calls of ours that we know nothing of."""
        return clock.monotonic() < self._doubts_until.get(pool_name, 0)

    async def _kept(self, pool: Pool, waiting: list[str]) -> Any:
        known = dict.fromkeys([*waiting, *self._in_flight.get(pool.name, ())], True)
        return await script("gate_keep")(
            self._redis,
            _keys(pool),
            {
                "worker": self._owner,
                "ids": json.dumps(waiting),
                "known": json.dumps(known) if self._doubtful(pool.name) else "",
                "limits": pool.limits.as_json(),
            },
        )

    async def _leave(self, reservation: Reservation, spent: Spent, jitter: float) -> None:
        used, retry_after = spent.used, spent.retry_after
        ending = {
            "outcome": spent.outcome,
            "used": {"requests": used.requests, "input": used.input, "output": used.output} if used else False,
            "limit": dict(spent.headroom.limit),
            # By the end of an answer, what was left at its beginning is no news.
            "remaining": dict(spent.headroom.remaining) if spent.outcome == "busy" else {},
            "retry_ms": -1 if retry_after is None else min(retry_after, _LONGEST_PAUSE_SECONDS) * 1000,
            "jitter": jitter,
        }
        next_ms, leads = await script("gate_leave")(
            self._redis,
            _keys(reservation.pool) | _estimates(reservation.pool),
            {
                "id": reservation.id,
                "worker": self._owner,
                "ending": json.dumps(ending),
                "limits": reservation.pool.limits.as_json(),
            },
        )
        self._lead(reservation.pool, next_ms, leads)


async def _heard(
    told: "asyncio.Future[float | None]", patience: float, leaving: asyncio.Event, *, expected: float, outage: bool
) -> float | None:
    """What the waiting call was told. Raises NoRoomYet."""
    if expected <= patience and not leaving.is_set():
        either: list[asyncio.Future[Any]] = [told, asyncio.create_task(leaving.wait())]
        try:
            timeout = None if patience == math.inf else patience
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            either[1].cancel()
        if told.done():
            return told.result()
    raise NoRoomYet(expected, outage=outage)


def _misjudged(reservation: Reservation, headroom: Headroom) -> bool:
    """Whether the call is far from what was reserved for it, and far enough to matter to others."""
    if headroom.input_tokens is None:
        return False
    off = abs(headroom.input_tokens - reservation.input_tokens)
    return off > _MISJUDGED * reservation.input_tokens and off > _MATTERS * reservation.pool.limits.input


def _tell(waiting: "asyncio.Future[float | None] | None", wait: float | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(wait)


def _keys(pool: Pool) -> dict[str, str]:
    name = pool.name
    return {
        "state": keys.gate_state(name),
        "high": keys.gate_line(name, "high"),
        "standard": keys.gate_line(name, "standard"),
        "low": keys.gate_line(name, "low"),
        "waiting": keys.gate_waiting(name),
        "tenants": keys.gate_tenants(name),
        "calls": keys.gate_calls(name),
        "tags": keys.gate_tags(name),
        "holders": keys.gate_holders(name),
    }


def _estimates(pool: Pool) -> dict[str, str]:
    return {"estimates": keys.gate_estimates(pool.name)}
