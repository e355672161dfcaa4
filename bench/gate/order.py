"""The calls that callers want to make: long-tailed in both directions, and the same for every contender."""

import json
import math
import random
from dataclasses import dataclass

from worker.provider import ModelRequest

MAX_OUTPUT_TOKENS = 4_096
LARGE_INPUT_TOKENS = 5_000
"""About one call of twenty is as large as that."""
_LATENCY_SECONDS = (0.12, 0.28)
_CHARACTERS_PER_TOKEN = 4
"""As the simulated provider counts."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Log-normal sizes in tokens; `median`, and `sigma` of the logarithm. An agent of its own to whoever learns."""

    name: str
    input_median: float
    input_sigma: float
    output_median: float
    output_sigma: float
    most_input: int = 20_000


WORK = Kind("work", input_median=900, input_sigma=1.0, output_median=180, output_sigma=0.8)
CHAT = Kind("chat", input_median=300, input_sigma=0.5, output_median=80, output_sigma=0.5)


@dataclass(frozen=True, slots=True)
class Order:
    """One call; tokens as the provider will count them."""

    tenant: str
    kind: str
    interactive: bool
    input_tokens: int
    output_tokens: int
    latency: float
    """Seconds to the first token."""

    def request(self) -> ModelRequest:
        """A text of exactly that size, which tells the simulated provider what to answer and for whom."""
        directive = {"user": self.tenant, "output_tokens": self.output_tokens, "latency": self.latency}
        text = f"<sim>{json.dumps(directive)}</sim> "
        text += "." * (self.input_tokens * _CHARACTERS_PER_TOKEN - len(text))
        messages = [{"role": "user", "content": text}]
        return ModelRequest(system="", messages=messages, tools=[], max_tokens=MAX_OUTPUT_TOKENS)


_LEAST_INPUT_TOKENS = 40
"""Room for the directive."""


class Orders:
    """An endless source of them. The same seed gives the same calls in the same order."""

    def __init__(self, seed: str, tenant: str, kind: Kind) -> None:
        self._random = random.Random(seed)
        self._tenant = tenant
        self._kind = kind

    def next(self) -> Order:
        kind = self._kind
        return Order(
            tenant=self._tenant,
            kind=kind.name,
            interactive=kind is CHAT,
            input_tokens=min(kind.most_input, _LEAST_INPUT_TOKENS + self._size(kind.input_median, kind.input_sigma)),
            output_tokens=min(MAX_OUTPUT_TOKENS, 5 + self._size(kind.output_median, kind.output_sigma)),
            latency=round(self._random.uniform(*_LATENCY_SECONDS), 3),
        )

    def pause(self, mean: float) -> float:
        """Seconds until the next one; exponential."""
        return self._random.expovariate(1 / mean)

    def _size(self, median: float, sigma: float) -> int:
        return int(self._random.lognormvariate(math.log(median), sigma))
