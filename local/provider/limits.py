"""The limits of one model: requests, input tokens and output tokens per minute, each an exact bucket.

A call is admitted when all three have room: one request, its input tokens, and an output level above zero. Output
is debited as it is produced and may go into debt, which later calls wait out. What a test or a benchmark may change
in mid-run is here as well: the limits themselves, and a foreign user of the same key.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from local.provider.buckets import Bucket
from local.provider.clock import Now

Dimension = Literal["requests", "input_tokens", "output_tokens"]

Positive = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which bucket had the longest wait, its limit per minute, and the wait in whole seconds, rounded up."""

    dimension: Dimension
    limit: float
    retry_after: int


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class LimitsChange(_Body):
    """The body of `POST /_sim/limits`: what is left out stays as it is."""

    model: str | None = None
    """Only this model's limits; null is every model's."""
    requests_per_minute: Positive | None = None
    input_tokens_per_minute: Positive | None = None
    output_tokens_per_minute: Positive | None = None
    burst: Positive | None = None
    """Capacity as a fraction of the limit per minute: 0.1 is six seconds' worth."""
    charge_refused: bool | None = None
    """Whether a 429 costs a request as well."""


class Gulp(_Body):
    """What somebody else takes at once, or as much of it as there is."""

    requests: Amount = 0
    input_tokens: Amount = 0
    output_tokens: Amount = 0


class ForeignUse(_Body):
    """The body of `POST /_sim/foreign`: somebody else who uses the same key."""

    model: str | None = None
    """Only this model's limits; null is every model's."""
    share: float | None = Field(default=None, ge=0, le=1)
    """From now on this share of every refill is theirs; 0 ends it, null leaves it as it is."""
    gulp: Gulp = Gulp()


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
            self.requests.charge(1)
        return refusal

    def produce(self, output_tokens: int) -> None:
        """Debit output tokens as they leave."""
        self.output_tokens.take(output_tokens)

    def change(self, change: LimitsChange) -> None:
        """From now on; levels above a new capacity are cut down to it."""
        limits = (change.requests_per_minute, change.input_tokens_per_minute, change.output_tokens_per_minute)
        for bucket, limit in zip(self._buckets().values(), limits, strict=True):
            bucket.change(limit or bucket.limit, change.burst or bucket.burst)
        if change.charge_refused is not None:
            self._charge_refused = change.charge_refused

    def let_in(self, foreign: ForeignUse) -> None:
        """Somebody else uses these limits, too."""
        gulp = foreign.gulp
        amounts = (gulp.requests, gulp.input_tokens, gulp.output_tokens)
        for bucket, amount in zip(self._buckets().values(), amounts, strict=True):
            bucket.gulp(amount)
            if foreign.share is not None:
                bucket.share(foreign.share)

    def books(self) -> dict[str, dict[str, float]]:
        """By dimension; fields: `Flows` in buckets.py, and began, limit, capacity, level."""
        return {dimension: bucket.books() for dimension, bucket in self._buckets().items()}

    def _buckets(self) -> dict[Dimension, Bucket]:
        return {"requests": self.requests, "input_tokens": self.input_tokens, "output_tokens": self.output_tokens}

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
