"""What an idle worker costs, and how soon it starts a job that comes."""

from bench.contender import Contender
from bench.figures import percentile
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import MeasurementFailed, Rig
from bench.waiting import observe, until

_LAST_START_SECONDS = 10
_GAPS = {"shortest-gap": 0.1, "longest-gap": 0.6}


def _profiles(contender: Contender) -> tuple[str, ...]:
    return contender.profiles("latency") if contender.measurements is None else ()


def _prepare(rig: Rig, sizes: Sizes) -> None:
    rig.ready()


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    worker = rig.workers[0]
    cpu, work = worker.cpu_seconds(), rig.store.work()
    watched = observe(sizes.idle_seconds)
    used, done = worker.cpu_seconds() - cpu, rig.store.work().since(work)
    cost: Figures = {
        "commands_per_s": done.commands / watched,
        "requests_per_s": done.requests / watched,
        "worker_cpu_percent": 100 * used / watched,
        "redis_cpu_percent": 100 * done.cpu_seconds / watched,
        "connections": rig.store.connections(),
        "rss_mb": worker.memory().rss,
    }
    return cost | _latency(rig, sizes)


def _latency(rig: Rig, sizes: Sizes) -> Figures:
    rig.trickle(prefix="j", count=sizes.samples, seed=len(rig.contender.name), **_GAPS)
    until(lambda: len(rig.log.starts("j")) >= sizes.samples, _LAST_START_SECONDS)
    took = [(event.at - event.submitted) / 1e6 for event in rig.log.starts("j")]
    if len(took) < sizes.samples:
        raise MeasurementFailed(f"{len(took)} of {sizes.samples} jobs started: {rig.last_words()}")
    return {"p50_ms": percentile(took, 50), "p99_ms": percentile(took, 99), "samples": len(took)}


IDLE = Measurement("idle", _profiles, _prepare, _measure, at_once=5, in_step=True)
