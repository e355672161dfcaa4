"""The gate: one Redis-coordinated budget per quota pool that every model call of every worker passes.

What may pass when is decided by `shared/lua/gate_*.lua`; here is a worker's side of it. A call enters, is granted at
once or told later, and leaves with what it really used. A reservation is good for one attempt. While Redis is away for
longer than a moment, calls pass by `shared.fallback` instead.
"""

import asyncio
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import Any

from shared import clock, ids, keys, log
from shared.errors import StoreUnavailable
from shared.fallback import Fallback
from shared.gate_commands import GateCommands, check_let_in
from shared.gate_news import Item, News, begun, ended
from shared.headers_seen import HeadersSeen
from shared.outage import Outage
from shared.pool import Asker, Call, Headroom, Pool, Reservation, Spent, Used
from shared.redis_client import Redis, until_reachable
from shared.told import COME_AGAIN_MS, CalledBack, Grant, RedisAway, Told
from shared.visits import Visits

logger = log.get(__name__)

KEEP_SECONDS = 2.0
"""How often a worker with calls at the gate says that it lives, and asks for what it may have missed."""
_ENDED_WITHIN_SECONDS = 0.5
"""So long the end of a call waits for a request to travel with, unless others wait for that end."""
_LEAST_PAUSE_SECONDS = 0.01
"""Between two visits of a leader."""
_DOUBT_SECONDS = 120.0
"""How long after a call was cancelled unanswered, its command may still be on its way."""
_ANSWERS_AWAITED = 2
"""How the gate says that calls wait for others to be answered."""
_NOBODY = Call(Asker(""), 0, 0)


class Gate:
    """This worker's side. `keep` is to be called every KEEP_SECONDS, `hear` with what is said on its channel.

    `on_answer` hears of each call that succeeded: the pool, and how often its provider has come back from an outage.
    """

    def __init__(
        self, redis: Redis, owner: str, on_answer: Callable[[str, int], None] = lambda pool, recoveries: None
    ) -> None:
        self.commands = GateCommands(redis, owner)
        self._owner = owner
        self._on_answer = on_answer
        self._pools: dict[str, Pool] = {}
        self._waiting: dict[str, dict[str, Told]] = {}
        self._in_flight: dict[str, dict[str, Reservation]] = {}
        self._headers = HeadersSeen()
        self._crowded: dict[str, int] = {}
        self._doubts_until: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lead = Visits(lambda pool: self._in_background(self._come_again(pool)))
        self._news = News(self._tell)
        self._outage = Outage(self.keep, self._call_off)
        self._fallback = Fallback(self._outage, self._adopt, partial(self._leave, jitter=0.5))

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

        Raises RequestTooLarge, RetriesSpent when it comes again and there have been too many that do, and NoRoomYet
        when it would take, or has taken, longer than `patience` in seconds, or when `leaving` is set, or at once in an
        outage of the provider unless it is to wait then, too (`in_outage`). While Redis is away nobody's patience ends:
        a job that is sent away could not be parked.
        """
        self._pools[pool.name] = pool
        until, leaving, place = clock.monotonic() + patience, leaving or asyncio.Event(), call.place
        while True:
            try:
                return await self._pass(pool, call, place, until, leaving, in_outage)
            except CalledBack as back:
                place = back.place

    async def _pass(
        self, pool: Pool, call: Call, place: str, until: float, leaving: asyncio.Event, in_outage: bool
    ) -> Reservation:
        """Raises what `reserve` does, and CalledBack: the grant has been given back, and it may come under a new id."""
        call_id, flying = ids.new_call_id(), self._in_flight.setdefault(pool.name, {})
        try:
            while True:
                with suppress(RedisAway):
                    return await self._line_up(call_id, pool, call, place, until, leaving, in_outage)
                # Its place in line stays its own meanwhile.
                self._doubt(pool)
                if passed := await self._fallback.reserve(
                    call_id, pool, self._headers.limits(pool), call, flying, leaving
                ):
                    return passed
        except CalledBack:
            raise
        except BaseException:
            self._doubt(pool)
            await self.settle(Reservation(call_id, pool, call, 0, 0, ""), Spent(used=Used()))
            raise
        finally:
            self._waiting.get(pool.name, {}).pop(call_id, None)

    async def _line_up(
        self, call_id: str, pool: Pool, call: Call, place: str, until: float, leaving: asyncio.Event, in_outage: bool
    ) -> Reservation:
        """Raises what `_pass` does, and RedisAway."""
        waiting = self._waiting.setdefault(pool.name, {})
        while True:
            if self._outage.lasts:
                raise RedisAway
            told = waiting[call_id] = Told()
            answer = await until_reachable(partial(self._enter, call_id, pool, call, place))
            check_let_in(answer, pool, in_outage)
            what, ms, input_tokens, output_tokens, place, *leaves = answer
            if what == "shut":
                self._fallback.shut(pool, ms / 1000)
            if what in ("shut", "waiting"):
                left = until - clock.monotonic()
                grant = await told.heard(left, leaving, expected=ms / 1000, outage=what == "shut")
            else:
                grant = Grant.said(ms, what == "tries", leaves)
            if grant is None:  # the gate has forgotten it, or it asks once more before it gives up
                continue
            granted = Reservation(call_id, pool, call, input_tokens, output_tokens, place, grant.tries, grant.leaves)
            self._in_flight[pool.name][call_id] = granted
            self._fallback.learn(granted)
            if await told.may_start(grant.wait):
                return granted
            self._end_soon(granted, Spent(used=Used()), 0.0)
            raise CalledBack(place)

    def observe(self, reservation: Reservation, headroom: Headroom) -> None:
        """To be called when an answer begins: what its headers say is news only then."""
        if self._fallback.has(reservation.id):  # the books do not know what else has passed meanwhile
            return
        awaited = reservation.tries or self._crowded.get(reservation.pool.name) == _ANSWERS_AWAITED
        if (within := self._headers.told_within(reservation, headroom, awaited=awaited)) is not None:
            self._news.tell(reservation.pool, begun(reservation.id, headroom), within)

    def answered(self, reservation: Reservation, used: Used) -> None:
        """Ends a call that went well, as `settle` does, but the gate learns of it a moment later."""
        hurry = reservation.tries or self._crowded.get(reservation.pool.name)
        self._end_soon(reservation, Spent("ok", used), 0.0 if hurry else _ENDED_WITHIN_SECONDS)

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Ends a call: frees its place, corrects the budget by what was used, learns from it.

        Never raises: an answer that was paid for must not be lost to the books. Without Redis it is done later, and
        when it is cancelled it goes on in the background.
        """
        if self._passed_here(reservation, spent):
            return
        leave = partial(self._leave, reservation, spent, random.random())  # noqa: S311  (spreads fleets)
        if self._outage.lasts:
            self._in_background(until_reachable(leave))
        else:
            await asyncio.shield(self._in_background(self._settle(reservation.pool, leave)))

    async def close(self) -> None:
        """Tells what was left for later."""
        await self._news.close()

    def _end_soon(self, reservation: Reservation, spent: Spent, within: float) -> None:
        if not self._passed_here(reservation, spent):
            self._news.tell(reservation.pool, ended(reservation, spent, random.random()), within)  # noqa: S311

    def _passed_here(self, reservation: Reservation, spent: Spent) -> bool:
        """Whether the call that ends had passed without the gate: then all is seen to."""
        passed = self._in_flight.get(reservation.pool.name, {}).pop(reservation.id, None)
        return passed is not None and self._fallback.settle(passed, spent)

    async def _settle(self, pool: Pool, leave: "partial[Any]") -> None:
        try:
            await leave()
        except StoreUnavailable:
            self._in_background(until_reachable(leave))
        except Exception as error:
            logger.warning("gate_not_settled", pool=pool.name, error=f"{type(error).__name__}: {error}")

    def hear(self, text: str) -> None:
        """A grant, from the channel, or that one is called back."""
        call_id, wait_ms, tries, *leaves, pool_name = text.split(" ", 6)
        told = self._waiting.get(pool_name, {}).get(call_id)
        if int(wait_ms) == COME_AGAIN_MS:
            if told:
                told.call_back()
        elif told:
            told.tell(Grant.said(int(wait_ms), int(tries), map(int, leaves)))
        elif self._fallback.has(call_id):
            pass  # it has passed already, and is about to be entered into the books
        elif call_id not in self._in_flight.get(pool_name, ()) and pool_name in self._pools:
            # It has been cancelled, and its command came after its leave.
            gone = Reservation(call_id, self._pools[pool_name], _NOBODY, 0, 0, "")
            self._in_background(self.settle(gone, Spent(used=Used())))

    async def keep(self) -> None:
        """Says that this worker lives, and finds out what it missed. Raises StoreUnavailable."""
        for name, pool in list(self._pools.items()):
            waiting = self._waiting.get(name, {})
            doubtful = clock.monotonic() < self._doubts_until.get(name, 0)
            busy = waiting or self._in_flight.get(name) or doubtful
            if not busy and self._outage.over.is_set():
                continue
            known = [*waiting, *self._in_flight.get(name, ())] if doubtful else None
            with self._asking(pool) as news:
                heed, granted, unknown, living = await self.commands.keep(pool, list(waiting), known, news)
            self._heed(pool, news, *heed)
            self._fallback.count(pool, living)
            for call_id, wait_ms, tries, *leaves in granted:
                _let_know(waiting, call_id, Grant.said(wait_ms, tries, leaves))
            for call_id in unknown:
                _let_know(waiting, call_id, None)

    def _doubt(self, pool: Pool) -> None:
        """The gate may hold calls of ours that we know nothing of."""
        self._doubts_until[pool.name] = clock.monotonic() + _DOUBT_SECONDS

    async def _come_again(self, pool: Pool) -> None:
        with suppress(StoreUnavailable):  # in vain the lead passes to whoever comes next
            await self._tell(pool)

    async def _enter(self, call_id: str, pool: Pool, call: Call, place: str) -> Any:
        try:
            with self._asking(pool) as news:
                heed, answer = await self.commands.enter(call_id, pool, call, place, news)
        except StoreUnavailable:
            if self._outage.lasts:
                raise RedisAway from None
            raise
        self._heed(pool, news, *heed)
        return answer

    async def _leave(self, reservation: Reservation, spent: Spent, jitter: float) -> None:
        await self._tell(reservation.pool, ended(reservation, spent, jitter))

    async def _tell(self, pool: Pool, *more: Item) -> None:
        with self._asking(pool) as news:
            heed = await self.commands.tell(pool, *news, *more)
        self._heed(pool, [*news, *more], *heed)

    @contextmanager
    def _asking(self, pool: Pool) -> Iterator[list[Item]]:
        """Around every request that takes news along."""
        try:
            with self._outage.noticing(), self._news.along(pool) as news:
                yield news
        except Exception:
            self._doubt(pool)  # of a request that Redis refuses the news are lost
            raise

    def _heed(
        self, pool: Pool, told: list[Item], next_ms: int, leads: int, recoveries: int, heard_ms: int, crowded: int
    ) -> None:
        """What every answer begins with."""
        if leads and next_ms >= 0:
            self._lead.within(pool, max(_LEAST_PAUSE_SECONDS, next_ms / 1000))
        self._crowded[pool.name] = crowded
        self._headers.heard(pool, heard_ms / 1000)
        for item in told:
            if item.get("outcome") == "ok":
                self._on_answer(pool.name, recoveries)

    async def _adopt(self, passed: Reservation, seconds_ago: float) -> None:
        with self._outage.noticing():
            await self.commands.adopt(passed, seconds_ago)

    def _call_off(self) -> None:
        """Redis is away: whoever waits in line there is told so."""
        self._fallback.close_books()
        for told in chain.from_iterable(waiting.values() for waiting in self._waiting.values()):
            told.call_off()

    def _in_background(self, doing: Any) -> "asyncio.Task[Any]":
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _let_know(waiting: dict[str, Told], call_id: str, grant: Grant | None) -> None:
    if told := waiting.get(call_id):  # it may have gone meanwhile
        told.tell(grant)
