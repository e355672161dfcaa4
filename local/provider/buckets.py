"""One exact, continuous token bucket, and the books of everything that flowed in and out of it.

A bucket refills all the time, not once a minute, up to its capacity. Part of the refill, or a gulp at once, may go
to a foreign user of the same key. Source: https://platform.claude.com/docs/en/api/rate-limits
"""

from dataclasses import asdict, dataclass

from local.provider.clock import Now


@dataclass(slots=True)
class Flows:
    """Requests or tokens since the start.

    The level is always: what the bucket began with + refilled - spilled - foreign - gulped - used - charged - clamped.
    """

    refilled: float = 0.0
    """What the limit has granted over time, whether there was room for it or not."""
    spilled: float = 0.0
    """The part of it that found the bucket full."""
    foreign: float = 0.0
    """The share of the refill that went to somebody else."""
    gulped: float = 0.0
    """What somebody else took at once out of the bucket."""
    used: float = 0.0
    """What our calls used."""
    charged: float = 0.0
    """What refused calls cost."""
    clamped: float = 0.0
    """What was lost when the capacity became smaller."""


class Bucket:
    """One dimension. Amounts are requests or tokens, times are seconds of `now`."""

    def __init__(self, limit_per_minute: float, burst: float, now: Now) -> None:
        """`burst` is the capacity as a fraction of the limit per minute."""
        self._now = now
        self._updated = now()
        self._share = 0.0
        self._flows = Flows()
        self._set(limit_per_minute, burst)
        self._began = self._level = self.capacity

    def level(self) -> float:
        """What is there now: at most the capacity, below zero when in debt."""
        now = self._now()
        refill = (now - self._updated) * self.rate
        foreign = refill * self._share
        kept = min(refill - foreign, self.capacity - self._level)
        self._updated = now
        self._level = min(self.capacity, self._level + kept)  # sums of fractions may end a trifle above
        self._flows.refilled += refill
        self._flows.foreign += foreign
        self._flows.spilled += refill - foreign - kept
        return self._level

    def take(self, amount: float) -> None:
        """Debit, into debt if need be."""
        self._level = self.level() - amount
        self._flows.used += amount

    def charge(self, amount: float) -> None:
        """Debit for a refused call, into debt if need be."""
        self._level = self.level() - amount
        self._flows.charged += amount

    def share(self, foreign: float) -> None:
        """From now on this share of every refill goes to somebody else."""
        self.level()
        self._share = foreign

    def gulp(self, amount: float) -> None:
        """Somebody else takes this much at once, or what there is."""
        taken = max(0.0, min(amount, self.level()))
        self._level -= taken
        self._flows.gulped += taken

    def change(self, limit_per_minute: float, burst: float) -> None:
        """Another limit from now on; what is above the new capacity is lost."""
        level = self.level()
        self._set(limit_per_minute, burst)
        self._level = min(level, self.capacity)
        self._flows.clamped += level - self._level

    def wait_for(self, amount: float) -> float:
        """Seconds until this amount is there; 0 when it is.

        More than the capacity is never there: it waits for a full bucket and then leaves it in debt, so that
        a small burst does not forbid a call that the limit per minute allows.
        """
        missing = min(amount, self.capacity) - self.level()
        return max(0.0, missing / self.rate)

    def wait_above_zero(self) -> float:
        """Seconds until the level is above zero; 0 when it is."""
        level = self.level()
        return 0.0 if level > 0 else max(-level / self.rate, _LEAST_WAIT)

    def seconds_to_full(self) -> float:
        return (self.capacity - self.level()) / self.rate

    def books(self) -> dict[str, float]:
        """The flows, what it began with, and how it stands now."""
        level = self.level()
        now = {"limit": self.limit, "capacity": self.capacity, "level": level}
        return {**now, "began": self._began, **asdict(self._flows)}

    def _set(self, limit_per_minute: float, burst: float) -> None:
        self.limit = limit_per_minute
        self.burst = burst
        self.rate = limit_per_minute / 60
        self.capacity = max(limit_per_minute * burst, 1.0)


_LEAST_WAIT = 1e-9  # a level of exactly zero is a refusal, however short
