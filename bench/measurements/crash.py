"""How soon a job starts again after its worker was killed; other jobs come meanwhile."""

import time

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.measurements import long_job
from bench.rig import Rig
from bench.waiting import observe, until

_BEFORE_DEATH_SECONDS = 2


def _profiles(contender: Contender) -> tuple[str, ...]:
    return contender.profiles("recover") if contender.measurements is None else ()


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    """A `recovered_s` of None: not within the cap."""
    cap = min(sizes.crash_cap or rig.contender.crash_cap, rig.contender.crash_cap)
    with rig.traffic(cap + 10):
        start = long_job.begin(rig, sizes.crash_seconds)
        observe(_BEFORE_DEATH_SECONDS)
        worker = long_job.holder(rig, start)
        killed = time.monotonic_ns()
        worker.kill()
        again = until(lambda: len(long_job.starts(rig)) > 1, cap)
    recovered = (long_job.starts(rig)[1].at - killed) / 1e9 if again else None
    return {"recovered_s": recovered, "cap_s": cap}


CRASH = Measurement("crash", _profiles, long_job.two_workers, _measure, at_once=14)
