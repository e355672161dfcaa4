"""What a worker process weighs with a thousand jobs in flight."""

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.measurements.waiting import INPUT_BYTES
from bench.rig import Rig

_JOB_SECONDS = 60
_ALL_STARTED_SECONDS = 40


def _profiles(contender: Contender) -> tuple[str, ...]:
    return ("wall",) if contender.in_flight else ()


def _prepare(rig: Rig, sizes: Sizes) -> None:
    assert rig.contender.in_flight
    rig.ready(slots=rig.contender.in_flight.slots)


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    worker = rig.workers[0]
    idle = worker.memory()
    rig.submit(prefix="j", count=sizes.in_flight, mode="bulk", seconds=_JOB_SECONDS, input_bytes=INPUT_BYTES)
    rig.await_starts("j", sizes.in_flight, _ALL_STARTED_SECONDS)
    full = worker.memory()
    return {
        "jobs": sizes.in_flight,
        "slots": rig.contender.in_flight.slots if rig.contender.in_flight else 0,
        "idle_rss_mb": idle.rss,
        "rss_mb": full.rss,
        "pss_mb": full.pss,
        "processes": full.processes,
        "connections": rig.store.connections(),
    }


IN_FLIGHT = Measurement("in_flight", _profiles, _prepare, _measure, at_once=3)
