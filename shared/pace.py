"""How the queue stands and how fast it moves: what every Retry-After and estimated start is worked out from."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """`waiting` and `running` jobs, `slots` of the living workers, `busy_ms` that a job keeps a slot on average (None
    while none has ended), Redis TIME. All for the whole service."""

    waiting: int
    running: int
    slots: int
    busy_ms: int | None
    now_ms: int

    @classmethod
    def read(cls, answer: Sequence[int]) -> "Pace":
        """From what `job_pace.lua` answers."""
        waiting, running, slots, busy_ms, now_ms = answer
        return cls(waiting, running, slots, None if busy_ms < 0 else busy_ms, now_ms)

    @property
    def drain_rate(self) -> float:
        """Jobs per second that can end, 0 while that is not known or nobody works."""
        return self.slots / self.busy_ms * 1000 if self.busy_ms else 0.0

    def wait_seconds(self, ahead: int) -> float | None:
        """How long until a job with so many ahead of it starts; None while nothing is known of that."""
        return _wait(ahead, free=self.slots - self.running, slots=self.slots, busy_ms=self.busy_ms)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting job stands: `ahead` jobs start before it; its tenant runs `running` jobs and may run `cap`.
    `behind` jobs of its session must end before it starts, one after the other; -1 when that may take any time."""

    ahead: int
    running: int = 0
    cap: int | None = None
    behind: int = 0

    def wait_seconds(self, pace: Pace) -> float | None:
        """How long until it starts; None while nothing is known of that."""
        if self.behind < 0 or (self.behind and pace.busy_ms is None):
            return None
        first = self._first_starts(pace)
        return None if first is None else first + self.behind * (pace.busy_ms or 0) / 1000

    def _first_starts(self, pace: Pace) -> float | None:
        """How long until it starts, or if its session is busy the live job of that, which may run already: by the whole
        service's pace or by its tenant's own cap, whichever is longer."""
        ahead = self.ahead - self.behind
        if ahead < 0:
            return 0.0
        wait = pace.wait_seconds(ahead)
        if self.cap is None or wait is None:
            return wait
        capped = _wait(ahead, free=self.cap - self.running, slots=self.cap, busy_ms=pace.busy_ms)
        return max(wait, capped or 0.0)


def _wait(ahead: int, *, free: int, slots: int, busy_ms: int | None) -> float | None:
    """With a slot free it starts at once; else as many slots must become free as jobs go before it, and one more."""
    if slots > 0 and ahead < free:
        return 0.0
    if slots <= 0 or busy_ms is None:
        return None
    return (ahead - max(0, free) + 1) * busy_ms / slots / 1000
