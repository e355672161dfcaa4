"""What the provider does with its budget, exactly: buckets that refill, output that is debited as it is produced."""

from dataclasses import dataclass, field

from shared.pool import Headroom

SECONDS_A_TOKEN = 1 / 50


@dataclass
class Bucket:
    """Amounts in requests or tokens, times in seconds. `foreign` is the share of the refill that somebody else gets."""

    limit: float
    burst: float
    level: float
    at: float
    foreign: float = 0.0

    def now(self, now: float) -> float:
        refill = (now - self.at) * self.limit / 60 * (1 - self.foreign)
        self.level = min(self.capacity, self.level + refill)
        self.at = now
        return self.level

    @property
    def capacity(self) -> float:
        return max(1.0, self.limit * self.burst)


@dataclass
class Answering:
    """A call that is being answered: since when, and what it says in all."""

    since: float
    output: int
    said: float = 0


@dataclass
class Provider:
    """`refused` counts calls that it turned away, `counted` is what it debited, `said` what answers began with."""

    buckets: dict[str, Bucket]
    calls: dict[str, Answering] = field(default_factory=dict)
    said: dict[str, Headroom] = field(default_factory=dict)
    refused: int = 0
    counted: dict[str, float] = field(default_factory=lambda: {"requests": 0.0, "input": 0.0, "output": 0.0})

    def advance(self, now: float) -> None:
        said = 0.0
        for call in self.calls.values():
            until = min(float(call.output), (now - call.since) / SECONDS_A_TOKEN)
            said += max(0.0, until - call.said)
            call.said = max(call.said, until)
        for bucket in self.buckets.values():
            bucket.now(now)
        self.buckets["output"].level -= said
        self.counted["output"] += said

    def begin(self, call_id: str, now: float, input_tokens: int, output_tokens: int) -> bool:
        """Whether the call is taken."""
        self.advance(now)
        need = {"requests": 1.0, "input": float(input_tokens), "output": 0.0}
        short = [
            name
            for name, bucket in self.buckets.items()
            if (bucket.level <= 0 if name == "output" else bucket.level < min(need[name], bucket.capacity))
        ]
        if short:
            self.refused += 1
            return False
        for name, amount in need.items():
            self.buckets[name].level -= amount
            self.counted[name] += amount
        self.calls[call_id] = Answering(now, output_tokens)
        return True

    def done(self, now: float) -> list[str]:
        """Calls whose answers are complete."""
        self.advance(now)
        return [call_id for call_id, call in self.calls.items() if call.said >= call.output]
