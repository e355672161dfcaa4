"""How many jobs one process submits in a second, one after the other and in bulk. No worker runs."""

from functools import partial

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import Rig


def _profiles(contender: Contender) -> tuple[str, ...]:
    return ("default",) if contender.measurements is None else ()


def _prepare(rig: Rig, sizes: Sizes) -> None:
    """The server is there; nothing else is wanted."""


def _measure(rig: Rig, sizes: Sizes, *, mode: str) -> Figures:
    before = rig.store.work()
    said = rig.submit(prefix="j", count=sizes.jobs, mode=mode)
    done = rig.store.work().since(before)
    return {
        "rate": said["rate"],
        "client_cpu_us": said["cpu_us_per_job"],
        "redis_cpu_us": done.cpu_seconds / sizes.jobs * 1e6,
        "commands": done.commands / sizes.jobs,
        "requests": done.requests / sizes.jobs,
        "bulk": said["bulk"],
    }


SINGLE = Measurement("enqueue_single", _profiles, _prepare, partial(_measure, mode="single"))
BULK = Measurement("enqueue_bulk", _profiles, _prepare, partial(_measure, mode="bulk"))
