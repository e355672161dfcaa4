"""A worker's own budget of a pool, for while Redis is away: its part of half of what the provider allows.

All workers' budgets together let through half of the limit, whatever each of them does. They begin empty: the gate may
have spent everything just before. Amounts are requests and tokens, times are seconds of a steady clock, handed in.
"""

import math
import random

from shared import backoff
from shared.pool import Limits, Spent, Used

_PART = 0.5
_BURST_SECONDS = 6.0
"""What is saved up while nobody waits; as long as the gate's own bursts, and half as large."""
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
_NOTHING = [0.0, 0.0, 0.0]


class LocalBudget:
    """`wait` is for the head of the line, `take` when it passes, `ended` for every call that ends meanwhile."""

    def __init__(self, limits: Limits, living: int, *, owed: float, now: float, phase: float | None = None) -> None:
        """`living` workers share the limits. `owed` is the output that this worker's calls in flight are still
        expected to produce, of what the gate has let through.

        `phase` (0 to 1, at random) is a part of the first call that it costs in addition: workers whose parts are
        less than a call would else all save up for one and make it at the same moment.
        """
        part = _PART / living
        self._per_second = [limit * part / 60 for limit in (limits.requests, limits.input, limits.output)]
        self._most_in_flight = math.floor(limits.in_flight * part)
        self._levels = [0.0, 0.0, -owed]
        self._phase = random.random() if phase is None else phase  # noqa: S311  (spreads workers)
        self._wanted = _NOTHING
        self._updated = now
        self._closed_until = now
        self._pauses = 0

    def close(self, seconds: float, now: float) -> None:
        """Nobody passes for so long."""
        self._closed_until = max(self._closed_until, now + seconds)

    def wait(self, need: Used, in_flight: int, now: float) -> float:
        """How many seconds until the call may pass; infinite until one of those in flight has ended.

        It waits until all it needs is there, however large it is: a budget does not go into debt for a call.
        """
        self._flow(now)
        self._wanted = _amounts(need)
        self._add([-self._phase * amount for amount in self._wanted])
        self._phase = 0
        if in_flight >= self._most_in_flight:
            return math.inf
        missing = zip(self._wanted, self._levels, self._per_second, strict=True)
        return max(0.0, self._closed_until - now, *((amount - level) / rate for amount, level, rate in missing))

    def take(self, need: Used, now: float) -> None:
        self._flow(now)
        self._wanted = _NOTHING
        self._add([-amount for amount in _amounts(need)])

    def ended(self, taken: Used, spent: Spent, now: float) -> None:
        """The call has used other than was taken for it; and the provider may want to be left alone."""
        self._flow(now)
        if spent.used is not None:
            self._add([was - used for was, used in zip(_amounts(taken), _amounts(spent.used), strict=True)])
        match spent.outcome:
            case "ok":
                self._pauses = 0
            case "busy":  # without a time it is a cap on spending
                self.close(_LONGEST_PAUSE_SECONDS if spent.retry_after is None else spent.retry_after, now)
            case "down" if now >= self._closed_until:
                self._pauses += 1
                pause = backoff.exponential(self._pauses, base=_SHORTEST_PAUSE_SECONDS, cap=_LONGEST_PAUSE_SECONDS)
                self.close(backoff.spread(pause), now)

    def _flow(self, now: float) -> None:
        """Saves up for a burst, and for the head of the line whatever it needs."""
        elapsed, self._updated = now - self._updated, now
        for i, rate in enumerate(self._per_second):
            most = max(self._levels[i], rate * _BURST_SECONDS, self._wanted[i])
            self._levels[i] = min(most, self._levels[i] + elapsed * rate)

    def _add(self, amounts: list[float]) -> None:
        self._levels = [level + amount for level, amount in zip(self._levels, amounts, strict=True)]


def _amounts(used: Used) -> list[float]:
    return [float(used.requests), float(used.input), float(used.output)]
