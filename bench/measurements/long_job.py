"""A long job on one of two workers: what the measurements of death, of deploys and of a quiet life have in common."""

from bench.events import Event
from bench.measurement import Sizes
from bench.process_tree import ProcessTree
from bench.rig import Rig

NAME = "long0"
_PREFIX = "long"
_START_SECONDS = 30


def two_workers(rig: Rig, sizes: Sizes) -> None:
    """With the library's own number of slots."""
    rig.ready(workers=2)


def begin(rig: Rig, seconds: float) -> Event:
    """Submits it; its start. Raises MeasurementFailed."""
    rig.submit(prefix=_PREFIX, seconds=seconds)
    rig.await_starts(NAME, 1, _START_SECONDS)
    return starts(rig)[0]


def starts(rig: Rig) -> list[Event]:
    return rig.log.starts(NAME)


def ends(rig: Rig) -> list[Event]:
    return rig.log.ends(NAME)


def holder(rig: Rig, event: Event) -> ProcessTree:
    """The worker on which that happened."""
    return next(worker for worker in rig.workers if worker.has(event.pid))
