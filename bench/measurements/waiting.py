"""What a waiting job takes of Redis's memory, with an input of 1 KB."""

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import Rig

INPUT_BYTES = 1024


def _profiles(contender: Contender) -> tuple[str, ...]:
    return ("default",) if contender.measurements is None else ()


def _prepare(rig: Rig, sizes: Sizes) -> None:
    """Scripts and the queue itself are there before it is measured."""
    rig.submit(prefix="first", input_bytes=INPUT_BYTES)


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    before = rig.store.used_kb()
    rig.submit(prefix="j", count=sizes.waiting, input_bytes=INPUT_BYTES, mode="bulk")
    submitted = sizes.waiting + 1  # the driver's own first one
    return {"redis_kb": (rig.store.used_kb() - before) / submitted}


WAITING = Measurement("waiting", _profiles, _prepare, _measure, at_once=4)
