"""Words of the gate: what a provider allows, what a call wants, what it used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from shared.job import Priority
from shared.keys import DEFAULT_TENANT
from shared.sections import Target

DIMENSIONS = {"requests": "requests", "input": "input_tokens", "output": "output_tokens"}
"""What is metered per minute: its name in the gate, and the one in answers and metrics."""
HELD_UP_BY = ("breaker", "retry_after", "in_flight", *DIMENSIONS.values())
"""Why calls wait at the gate."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the provider allows a pool, per minute, and how many calls may be in flight."""

    requests: int
    input: int
    output: int
    in_flight: int

    def as_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Pool:
    """What the provider meters together. Its limits are starting values: the answers' headers teach the rest."""

    name: str
    limits: Limits


def pool_of(target: Target) -> Pool:
    """The pool behind which a target of the settings stands."""
    limits = Limits(
        requests=target.requests_per_minute,
        input=target.input_tokens_per_minute,
        output=target.output_tokens_per_minute,
        in_flight=target.max_in_flight,
    )
    return Pool(target.pool_name, limits)


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a model call is made: what the fair line and the estimates go by."""

    agent: str
    tenant: str = DEFAULT_TENANT
    weight: float = 1
    priority: Priority = Priority.STANDARD

    @property
    def priority_class(self) -> int:
        """As the gate's scripts count it: 1 (high) to 3 (low)."""
        return _CLASSES[self.priority]


_CLASSES = {Priority.HIGH: 1, Priority.STANDARD: 2, Priority.LOW: 3}


@dataclass(frozen=True, slots=True)
class Call:
    """A model call that wants to pass: its size in characters, and the most it may say in tokens.

    `place` is where it stood in line before the provider refused it, '' for a new one.
    """

    asker: Asker
    characters: int
    max_output_tokens: int
    turn: int = 1
    place: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A call that may start, and what is reserved for it in tokens. To be settled, whatever becomes of it.

    `tries`: it is the one call of the fleet that tries whether the provider is back, and all others wait for its answer
    to begin. `leaves` is what should be left of the budget once the call has got to the provider, by dimension, as far
    as the gate can tell.
    """

    id: str
    pool: Pool
    call: Call
    input_tokens: int
    output_tokens: int
    place: str
    tries: bool = False
    leaves: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Used:
    """What the provider counted of an attempt; input tokens without cache reads."""

    requests: int = 0
    input: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Headroom:
    """What the beginning of an answer says of our budget, by dimension (requests, input, output); what it omits is
    absent. `input_tokens` is what the provider counted of this call, without cache reads."""

    limit: Mapping[str, int] = field(default_factory=dict)
    remaining: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int | None = None

    @property
    def scarce(self) -> list[str]:
        """Of what so little is left that it may be less than the gate believes."""
        return [name for name, left in self.remaining.items() if left < _SCARCE * self.limit.get(name, 0)]


_SCARCE = 0.2
NOTHING_SAID = Headroom()


@dataclass(frozen=True, slots=True)
class Spent:
    """How an attempt ended. `used` is None when nobody knows what the provider counted.

    `outcome` is `ok`, `busy` (429), `down` (529, 5xx, no connection), or '' when it says nothing of the provider.
    `retry_after` is how many seconds the provider asked to stay away, None when it did not say.
    """

    outcome: str = ""
    used: Used | None = None
    headroom: Headroom = NOTHING_SAID
    retry_after: float | None = None
