"""How many waiting no-op jobs one worker process starts in a second."""

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import MeasurementFailed, Rig
from bench.waiting import until

_CAP_SECONDS = 120
_START_SECONDS = 60


def _profiles(contender: Contender) -> tuple[str, ...]:
    if contender.drain is None:
        return ()
    return ("default", "drain") if contender.also_default else ("drain",)


def _prepare(rig: Rig, sizes: Sizes) -> None:
    rig.submit(prefix="j", count=_count(rig, sizes), mode="bulk")


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    """From the first start to the last: how long a process takes to come up is not the question."""
    count = _count(rig, sizes)
    worker = rig.add_worker(rig.contender.drain.slots if rig.contender.drain else 0)
    rig.await_starts("j", 1, _START_SECONDS)
    before, cpu, work = len(rig.log.starts("j")), worker.cpu_seconds(), rig.store.work()
    until(lambda: len(rig.log.starts("j")) >= count or not worker.alive, _CAP_SECONDS, step=0.03)
    done, used = rig.store.work().since(work), worker.cpu_seconds() - cpu
    starts = sorted(event.at for event in rig.log.starts("j"))
    if len(starts) < count:
        raise MeasurementFailed(f"{len(starts)} of {count} jobs within {_CAP_SECONDS} s: {rig.last_words()}")
    counted = max(1, len(starts) - before)
    return {
        "rate": (len(starts) - 1) / ((starts[-1] - starts[0]) / 1e9),
        "slots": rig.contender.drain.slots if rig.contender.drain else 0,
        "jobs": count,
        "started_twice": len(starts) - len({event.job for event in rig.log.starts("j")}),
        "worker_cpu_us": used / counted * 1e6,
        "redis_cpu_us": done.cpu_seconds / counted * 1e6,
        "commands": done.commands / counted,
        "requests": done.requests / counted,
    }


def _count(rig: Rig, sizes: Sizes) -> int:
    fewer = rig.contender.drain.jobs if rig.contender.drain else None
    return min(sizes.jobs, fewer or sizes.jobs)


DRAIN = Measurement("drain", _profiles, _prepare, _measure)
