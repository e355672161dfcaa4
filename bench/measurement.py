"""What a measurement is: who takes part with which settings, what is prepared, and what is measured then."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.contender import Contender
from bench.rig import Rig

Figure = float | int | str | None
Figures = dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything. The shipped sizes make a run of three repeats last about half an hour."""

    jobs: int = 3000
    samples: int = 50
    idle_seconds: float = 50
    wall_jobs: int = 600
    wall_seconds: float = 5
    in_flight: int = 1000
    waiting: int = 1000
    http_seconds: float = 8
    """How long each server is under load; as much as a quarter of it before, to warm up."""
    crash_seconds: float = 30
    """How long the job runs whose worker is killed."""
    crash_cap: float | None = None
    """Seconds that a second start is waited for; None is what the contender says."""
    term_seconds: float = 20
    """How long the job runs whose worker gets a SIGTERM."""
    term_cap: float = 30


FULL = Sizes()
SMALL = Sizes(
    jobs=300,
    samples=8,
    idle_seconds=2,
    wall_jobs=120,
    wall_seconds=2,
    in_flight=200,
    waiting=200,
    http_seconds=1,
    crash_seconds=15,
    crash_cap=15,
    term_seconds=6,
    term_cap=12,
)
"""Shows that everything works; the figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One kind of measurement. `profiles` gives none for a contender that does not take part."""

    name: str
    profiles: Callable[[Contender], tuple[str, ...]]
    prepare: Callable[[Rig, Sizes], None]
    measure: Callable[[Rig, Sizes], Figures]
    at_once: int = 1
    """How many run beside each other. What takes CPU runs alone; what mostly waits does not have to."""
    in_step: bool = False
    """Nobody prepares while others measure: starting processes would spoil what takes milliseconds."""
