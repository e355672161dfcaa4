"""What becomes of a running job when its worker gets a SIGTERM, as in every deploy."""

import time

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.measurements import long_job
from bench.rig import Rig
from bench.waiting import observe, until

_BEFORE_SECONDS = 2


def _profiles(contender: Contender) -> tuple[str, ...]:
    return contender.profiles("grace") if contender.measurements is None else ()


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    """A figure of None: it did not come to that within the cap. `tries` is 0 where the library does not tell."""
    start = long_job.begin(rig, sizes.term_seconds)
    observe(_BEFORE_SECONDS)
    worker = long_job.holder(rig, start)
    told = time.monotonic_ns()
    worker.terminate()
    until(lambda: not worker.alive and bool(long_job.ends(rig)), sizes.term_cap)
    starts, ends = long_job.starts(rig), long_job.ends(rig)
    return {
        "worker_left": int(not worker.alive),
        "starts": len(starts),
        "again_s": (starts[1].at - told) / 1e9 if len(starts) > 1 else None,
        "ended_s": (ends[0].at - told) / 1e9 if ends else None,
        "tries": starts[-1].attempt,
        "cap_s": sizes.term_cap,
    }


SIGTERM = Measurement("sigterm", _profiles, long_job.two_workers, _measure, at_once=14)
