"""Exact continuous token buckets: requests, input tokens and output tokens per minute of one model.

A bucket refills all the time, not once a minute, up to a capacity. A call is admitted when all three have
room: one request, its input tokens, and an output level above zero. Output is debited as it is produced and
may go into debt, which later calls wait out. Source: https://platform.claude.com/docs/en/api/rate-limits
"""

import math
from dataclasses import dataclass
from typing import Literal

from local.provider.clock import Now

Dimension = Literal["requests", "input_tokens", "output_tokens"]


class Bucket:
    """One dimension. Amounts are requests or tokens, times are seconds of `now`."""

    def __init__(self, limit_per_minute: float, burst: float, now: Now) -> None:
        self.limit = limit_per_minute
        self.rate = limit_per_minute / 60
        self.capacity = max(limit_per_minute * burst, 1.0)
        self._now = now
        self._level = self.capacity
        self._updated = now()

    def level(self) -> float:
        """What is there now: at most the capacity, below zero when in debt."""
        now = self._now()
        self._level = min(self.capacity, self._level + (now - self._updated) * self.rate)
        self._updated = now
        return self._level

    def take(self, amount: float) -> None:
        """Debit, into debt if need be."""
        self._level = self.level() - amount

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


_LEAST_WAIT = 1e-9  # a level of exactly zero is a refusal, however short


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which bucket had the longest wait, its limit per minute, and the wait in whole seconds, rounded up."""

    dimension: Dimension
    limit: float
    retry_after: int


class Limits:
    """The three buckets of one model, asked and debited together."""

    def __init__(
        self,
        requests_per_minute: float,
        input_tokens_per_minute: float,
        output_tokens_per_minute: float,
        burst: float,
        charge_refused: bool,
        now: Now,
    ) -> None:
        self.requests = Bucket(requests_per_minute, burst, now)
        self.input_tokens = Bucket(input_tokens_per_minute, burst, now)
        self.output_tokens = Bucket(output_tokens_per_minute, burst, now)
        self._charge_refused = charge_refused

    def admit(self, input_tokens: int) -> Refusal | None:
        """Debit one request and these input tokens (without cache reads), or say what has no room."""
        refusal = self._refusal(input_tokens)
        if refusal is None:
            self.requests.take(1)
            self.input_tokens.take(input_tokens)
        elif self._charge_refused:
            self.requests.take(1)
        return refusal

    def produce(self, output_tokens: int) -> None:
        """Debit output tokens as they leave."""
        self.output_tokens.take(output_tokens)

    def _refusal(self, input_tokens: int) -> Refusal | None:
        waits: list[tuple[float, Dimension, Bucket]] = [
            (self.requests.wait_for(1), "requests", self.requests),
            (self._input_wait(input_tokens), "input_tokens", self.input_tokens),
            (self.output_tokens.wait_above_zero(), "output_tokens", self.output_tokens),
        ]
        wait, dimension, bucket = max(waits, key=lambda entry: entry[0])
        if wait == 0:
            return None
        return Refusal(dimension, bucket.limit, math.ceil(wait))

    def _input_wait(self, input_tokens: int) -> float:
        """As the bucket's, but a call larger than a whole minute's limit never gets in."""
        bucket = self.input_tokens
        if input_tokens > bucket.limit:
            return max(bucket.seconds_to_full(), 1.0)
        return bucket.wait_for(input_tokens)
