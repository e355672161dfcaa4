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
    cpu, commands = rig.store.cpu_seconds(), sum(rig.store.commands().values())
    said = rig.submit(prefix="j", count=sizes.jobs, mode=mode)
    return {
        "rate": said["rate"],
        "client_cpu_us": said["cpu_us_per_job"],
        "redis_cpu_us": (rig.store.cpu_seconds() - cpu) / sizes.jobs * 1e6,
        "commands": (sum(rig.store.commands().values()) - commands) / sizes.jobs,
        "bulk": said["bulk"],
    }


SINGLE = Measurement("enqueue_single", _profiles, _prepare, partial(_measure, mode="single"))
BULK = Measurement("enqueue_bulk", _profiles, _prepare, partial(_measure, mode="bulk"))
