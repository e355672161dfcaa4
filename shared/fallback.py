"""What a worker's calls pass by while Redis is away: a local budget per pool, in the order of coming.

A call that has passed so may still have its place in line there, or even a grant that it never heard of. As soon as
Redis is back it is entered into the books, once, as one that is in flight, and ends like any other; what it spent
longer ago than a bucket takes to fill is not debited any more.

Only who knows what the others may do takes part: a worker that has not heard lately how many live waits for Redis.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace

from shared import clock, log
from shared.errors import NoRoomYet
from shared.local_budget import LocalBudget
from shared.outage import Outage
from shared.pool import Call, Limits, Pool, Reservation, Spent, Used
from shared.redis_client import until_reachable

logger = log.get(__name__)

COUNTED_SECONDS = 10.0
"""How long before the outage the living workers may have been counted last: they are every two seconds, and a Redis
that hangs is noticed five seconds later."""
_ALL_SPOKEN_SECONDS = 10.0
"""After an outage the others may seem dead, or be in no books, until they have spoken."""
_UNKNOWN_DENSITY = 0.5
"""Tokens per character of an agent that has not called yet: rather too many."""
_LATE_SECONDS = 1.0
"""After which the end of a call says nothing of the provider any more, and its length nothing of its pace."""

Flying = MutableMapping[str, Reservation]
Ending = tuple[Spent, float]


@dataclass(slots=True)
class _Line:
    """The calls of this worker that want to pass to one pool, and what is known of it."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    call_ended: asyncio.Event = field(default_factory=asyncio.Event)
    budget: LocalBudget | None = None
    living: int = 0
    counted: float = -math.inf
    shut_until: float = -math.inf


class Fallback:
    def __init__(
        self,
        outage: Outage,
        adopt: Callable[[Reservation, float], Awaitable[None]],
        leave: Callable[[Reservation, Spent], Awaitable[None]],
    ) -> None:
        """`adopt` tells the gate of a call that passed so many seconds ago, `leave` of its end; StoreUnavailable."""
        self._outage = outage
        self._adopt = adopt
        self._leave = leave
        self._lines: dict[str, _Line] = {}
        self._estimates: dict[str, tuple[float, int]] = {}
        self._endings: dict[str, asyncio.Future[Ending]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def count(self, pool: Pool, living: int) -> None:
        """So many workers have calls at this pool's gate, this one among them."""
        line, now = self._line(pool), clock.monotonic()
        all_spoken = now - self._outage.ended >= _ALL_SPOKEN_SECONDS
        line.living = max(1, living) if all_spoken else max(1, living, line.living)
        line.counted = now

    def shut(self, pool: Pool, seconds: float) -> None:
        """Nobody may call the provider for so long: it fails."""
        self._line(pool).shut_until = clock.monotonic() + seconds

    def learn(self, granted: Reservation) -> None:
        """What the gate expects a call of this agent to use."""
        call = granted.call
        self._estimates[call.asker.agent] = granted.input_tokens / max(1, call.characters), granted.output_tokens

    async def reserve(
        self, call_id: str, pool: Pool, limits: Limits, call: Call, flying: Flying, leaving: asyncio.Event
    ) -> Reservation | None:
        """Returns when the call may start, or None once Redis is back. Raises NoRoomYet when `leaving` is set.

        `limits` are those known last; the call is added to those `flying`.
        """
        line, need = self._line(pool), self._need(call)
        async with line.turn:
            while self._outage.lasts:
                if leaving.is_set():
                    raise NoRoomYet(0, outage=False)
                line.call_ended.clear()
                now, budget = clock.monotonic(), self._budget(line, limits, flying)
                wait = budget.wait(need, len(flying), now) if budget else math.inf
                if budget and wait <= 0:
                    budget.take(need, now)
                    passed = Reservation(call_id, pool, call, need.input, need.output, call.place)
                    flying[passed.id] = passed
                    self._remember(passed, now)
                    return passed
                await _any_of(line.call_ended, self._outage.over, leaving, timeout=wait)
        return None

    def has(self, call_id: str) -> bool:
        """Whether the call has passed here, and the books have not seen its end."""
        return call_id in self._endings

    def settle(self, reservation: Reservation, spent: Spent) -> bool:
        """To be called for every call that ends. Whether it had passed here: then all is seen to."""
        line, now = self._line(reservation.pool), clock.monotonic()
        ending = self._endings.get(reservation.id)
        if line.budget and ending:
            line.budget.ended(Used(1, reservation.input_tokens, reservation.output_tokens), spent, now)
        elif line.budget:  # of what the gate let through only the output was owed
            said = spent.used and Used(output=spent.used.output)
            line.budget.ended(Used(output=reservation.output_tokens), replace(spent, used=said), now)
        line.call_ended.set()
        if ending:
            ending.set_result((spent, now))
        return ending is not None

    def close_books(self) -> None:
        """An outage begins: what was known in an earlier one is out of date."""
        for line in self._lines.values():
            line.budget = None

    def _line(self, pool: Pool) -> _Line:
        return self._lines.setdefault(pool.name, _Line())

    def _budget(self, line: _Line, limits: Limits, flying: Flying) -> LocalBudget | None:
        since = self._outage.since
        if line.budget is None and since is not None and line.counted >= since - COUNTED_SECONDS:
            owed = sum(reservation.output_tokens for reservation in flying.values())
            line.budget = LocalBudget(limits, line.living, owed=owed, now=since)
            line.budget.close(line.shut_until - since, since)
        return line.budget

    def _need(self, call: Call) -> Used:
        density, output = self._estimates.get(call.asker.agent, (_UNKNOWN_DENSITY, call.max_output_tokens))
        return Used(1, max(1, math.ceil(call.characters * density)), min(call.max_output_tokens, output))

    def _remember(self, passed: Reservation, began: float) -> None:
        ending = self._endings[passed.id] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._enter_into_the_books(passed, began, ending))
        self._tasks.add(task)

        def forget(task: "asyncio.Task[None]") -> None:
            self._tasks.discard(task)
            del self._endings[passed.id]

        task.add_done_callback(forget)

    async def _enter_into_the_books(self, passed: Reservation, began: float, ending: "asyncio.Future[Ending]") -> None:
        """One after the other: a call that is entered after it has ended would be in flight for ever."""
        try:
            await self._outage.over.wait()
            await until_reachable(lambda: self._adopt(passed, clock.monotonic() - began))
            spent, ended = await ending
            await until_reachable(lambda: self._leave(passed, _said_late(spent, clock.monotonic() - ended)))
        except Exception as error:
            logger.warning("gate_not_settled", pool=passed.pool.name, error=f"{type(error).__name__}: {error}")


def _said_late(spent: Spent, seconds: float) -> Spent:
    return spent if seconds < _LATE_SECONDS else replace(spent, outcome="", retry_after=None)


async def _any_of(*events: asyncio.Event, timeout: float) -> None:  # noqa: ASYNC109
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        seconds = None if timeout == math.inf else timeout
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
