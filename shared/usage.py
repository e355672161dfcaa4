"""What work cost: tokens, calls and money. Money is counted in whole nano-dollars, so that sums are exact."""

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters that only grow; `a + b` adds each. Tokens as the Messages API reports them."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    turns: int = 0
    tool_calls: int = 0
    cost_nano: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, name) + getattr(other, name) for name in USAGE_FIELDS))

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens + self.output_tokens

    @property
    def counted_input_tokens(self) -> int:
        """What counts against the provider's limit: all input but what was read from its cache."""
        return self.input_tokens + self.cache_creation_input_tokens

    def as_counters(self) -> dict[str, int]:
        """The counters that are not zero, by name: what to add to a job record."""
        return {name: value for name in USAGE_FIELDS if (value := getattr(self, name))}

    def as_json(self) -> dict[str, Any]:
        """The public form: as the counters, with the money as `cost_usd`, a decimal string."""
        public = {name: getattr(self, name) for name in USAGE_FIELDS if name != "cost_nano"}
        return public | {"cost_usd": dollars(self.cost_nano)}


USAGE_FIELDS = tuple(field.name for field in fields(Usage))


def from_dollars(text: str) -> int:
    """Nano-dollars of a decimal string. Raises decimal.InvalidOperation."""
    return int(Decimal(text) * NANO)


def dollars(nano: int) -> str:
    """Nano-dollars as a decimal string with six places, rounded half up: 1234567 -> "0.001235"."""
    micro = (nano + 500) // 1000
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"
