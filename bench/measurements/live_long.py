"""Nobody dies: is a healthy long job left alone under the settings that recover quickly?"""

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.measurements import long_job
from bench.rig import Rig
from bench.waiting import observe

_AFTER_SECONDS = 5


def _profiles(contender: Contender) -> tuple[str, ...]:
    return contender.profiles("recover")[-1:] if contender.measurements is None else ()


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    with rig.traffic(sizes.crash_seconds + _AFTER_SECONDS):
        long_job.begin(rig, sizes.crash_seconds)
        observe(sizes.crash_seconds + _AFTER_SECONDS)
    return {"starts": len(long_job.starts(rig)), "ends": len(long_job.ends(rig)), "seconds": sizes.crash_seconds}


LIVE_LONG = Measurement("live_long", _profiles, long_job.two_workers, _measure, at_once=14)
