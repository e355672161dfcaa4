"""How soon a job starts again after its worker was lost; other jobs come meanwhile.

Two kinds of loss: a kill, after which the system closes the worker's connections so that Redis can know of it, and a
freeze, after which everything stays open and silent, as when a machine or its network is lost.
"""

import time
from collections.abc import Callable
from functools import partial

from bench.contender import CRASH_CAP_SECONDS, Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.measurements import long_job
from bench.process_tree import ProcessTree
from bench.rig import Rig
from bench.waiting import observe, until

_BEFORE_SECONDS = 2
_AT_ONCE = 14


def _profiles(contender: Contender) -> tuple[str, ...]:
    return contender.profiles("recover") if contender.measurements is None else ()


def _as_shipped(contender: Contender) -> tuple[str, ...]:
    return _profiles(contender)[:1]


def _measure(rig: Rig, sizes: Sizes, *, lose: Callable[[ProcessTree], None]) -> Figures:
    """A `recovered_s` of None: not within the cap."""
    cap = sizes.crash_cap or (rig.contender.crash_cap if rig.profile == "default" else CRASH_CAP_SECONDS)
    with rig.traffic(cap + 10):
        start = long_job.begin(rig, sizes.crash_seconds)
        observe(_BEFORE_SECONDS)
        worker = long_job.holder(rig, start)
        lost = time.monotonic_ns()
        lose(worker)
        again = until(lambda: len(long_job.starts(rig)) > 1, cap)
    recovered = (long_job.starts(rig)[1].at - lost) / 1e9 if again else None
    return {"recovered_s": recovered, "cap_s": cap}


CRASH = Measurement(
    "crash", _profiles, long_job.two_workers, partial(_measure, lose=ProcessTree.kill), at_once=_AT_ONCE
)
FREEZE = Measurement(
    "freeze", _as_shipped, long_job.two_workers, partial(_measure, lose=ProcessTree.freeze), at_once=_AT_ONCE
)
