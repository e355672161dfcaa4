"""What a provider grants: a limit per minute in each dimension, refilled continuously into a bucket."""

from dataclasses import dataclass, replace

DIMENSIONS = ("requests", "input_tokens", "output_tokens")
SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Budget:
    """Requests and tokens per minute. A bucket holds `burst_seconds` worth of them."""

    requests: float
    input_tokens: float
    output_tokens: float
    burst_seconds: float

    @property
    def burst(self) -> float:
        """The same as a fraction of the limit per minute."""
        return self.burst_seconds / SECONDS_PER_MINUTE

    def limits(self) -> tuple[float, float, float]:
        """In the order of DIMENSIONS."""
        return self.requests, self.input_tokens, self.output_tokens

    def worth(self, seconds: float) -> tuple[float, float, float]:
        """What is refilled in that time, in the order of DIMENSIONS."""
        requests, inputs, outputs = (limit * seconds / SECONDS_PER_MINUTE for limit in self.limits())
        return requests, inputs, outputs

    def times(self, factor: float) -> "Budget":
        """Other limits, with as many seconds of them in the bucket."""
        return replace(
            self,
            requests=self.requests * factor,
            input_tokens=self.input_tokens * factor,
            output_tokens=self.output_tokens * factor,
        )
