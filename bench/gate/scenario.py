"""What a scenario is made of: who calls, what the provider grants, what the callers believe, and what happens when.

Times are seconds into the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.gate.budget import Budget

WORKERS = 8
ALL_WORKERS = tuple(range(WORKERS))


@dataclass(frozen=True, slots=True)
class Callers:
    """A closed loop: `each` callers on every one of these workers, who call again soon after an answer."""

    tenant: str
    each: int
    workers: tuple[int, ...] = ALL_WORKERS


@dataclass(frozen=True, slots=True)
class Trickle:
    """Somebody who waits for the answer: small calls of the interactive class, now and then, however long they take."""

    tenant: str
    per_second: float
    """Of all these workers together."""
    workers: tuple[int, ...]


Load = Callers | Trickle


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else with the same key: takes this share of every refill from now on, and a gulp at once."""

    at: float
    share: float | None = None
    gulp_seconds: float = 0
    """How many seconds' worth of the limits the gulp is."""


@dataclass(frozen=True, slots=True)
class NewLimits:
    """The provider's limits become so many times the first ones."""

    at: float
    factor: float


@dataclass(frozen=True, slots=True)
class Outage:
    """Every new call is answered 529."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to these workers."""

    at: float
    workers: tuple[int, ...]


Event = Foreign | NewLimits | Outage | Kill


@dataclass(frozen=True, slots=True)
class Scenario:
    """`title` and `text` are what the report says of it."""

    name: str
    title: str
    text: str
    load: tuple[Load, ...]
    budget: Budget
    believed: Budget | None = None
    """What the callers were told; None is the truth."""
    events: tuple[Event, ...] = ()
    charge_refused: bool = False
    """A 429 costs a request as well."""
    joins: Mapping[int, float] = field(default_factory=dict)
    """When a worker begins that is not there from the start."""
    warm_seconds: float = 12
    """What happens before that is not counted, but for 429s and calls given up."""
    seconds: float = 36

    @property
    def told(self) -> Budget:
        return self.believed or self.budget

    @property
    def tenants(self) -> tuple[str, ...]:
        """Those that want more than there is, among whom shares are to be equal."""
        return tuple(dict.fromkeys(load.tenant for load in self.load if isinstance(load, Callers)))

    @property
    def interactive(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(load.tenant for load in self.load if isinstance(load, Trickle)))

    def of_worker(self, number: int) -> list[Load]:
        """What this worker's callers are."""
        return [load for load in self.load if number in load.workers]

    def scaled(self, factor: float) -> "Scenario":
        """The same in another time, with the same rates: a short run shows that everything works."""
        return replace(
            self,
            events=tuple(_scaled(event, factor) for event in self.events),
            joins={worker: at * factor for worker, at in self.joins.items()},
            warm_seconds=self.warm_seconds * factor,
            seconds=self.seconds * factor,
        )


def mistakes(scenario: Scenario) -> Sequence[str]:
    """What is wrong with it: everything has to happen in the part that is measured, to workers that there are."""
    found = []
    for event in scenario.events:
        until = event.at + (event.seconds if isinstance(event, Outage) else 0)
        if not scenario.warm_seconds <= event.at <= until < scenario.seconds:
            found.append(f"{event} is outside of the measured part")
        if isinstance(event, Kill) and not set(event.workers) < set(ALL_WORKERS):
            found.append(f"{event} leaves nobody")
    if not any(scenario.of_worker(number) for number in ALL_WORKERS if number not in scenario.joins):
        found.append("nobody begins")
    if len({event.at for event in scenario.events}) < len(scenario.events):
        found.append("two events at once")
    return found


def _scaled(event: Event, factor: float) -> Event:
    if isinstance(event, Outage):
        return replace(event, at=event.at * factor, seconds=event.seconds * factor)
    return replace(event, at=event.at * factor)
