"""Whether six workers really hold a hundred long jobs each, and what it costs Redis while jobs only wait.

The cost is watched with half of the slots taken: a worker that has none left has nothing to ask Redis for.
"""

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import MeasurementFailed, Rig
from bench.waiting import observe, until

_CAP_SECONDS = 120
_HALF_STARTED_SECONDS = 1.2
_WATCHED_SHARE = 0.7
"""Of a job's length. Shorter than a third of a lease it would see some renewals and miss others."""


def _profiles(contender: Contender) -> tuple[str, ...]:
    if contender.wall is None:
        return ()
    return ("default", "wall") if contender.also_default else ("wall",)


def _prepare(rig: Rig, sizes: Sizes) -> None:
    wall = rig.contender.wall
    assert wall
    rig.ready(slots=wall.slots, workers=wall.workers)


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    return _half_full(rig, sizes) | _full(rig, sizes)


def _half_full(rig: Rig, sizes: Sizes) -> Figures:
    count = sizes.wall_jobs // 2
    rig.submit(prefix="half", count=count, mode="bulk", seconds=sizes.wall_seconds)
    until(lambda: len(rig.log.starts("half")) >= count, _HALF_STARTED_SECONDS)
    cpu, work = _workers_cpu(rig), rig.store.work()
    watched = observe(_WATCHED_SHARE * sizes.wall_seconds)
    done, used = rig.store.work().since(work), _workers_cpu(rig) - cpu
    _await_ends(rig, "half", count)
    return {
        "commands_per_s": done.commands / watched,
        "requests_per_s": done.requests / watched,
        "cpu_percent": 100 * (used + done.cpu_seconds) / watched,
    }


def _full(rig: Rig, sizes: Sizes) -> Figures:
    said = rig.submit(prefix="j", count=sizes.wall_jobs, mode="bulk", seconds=sizes.wall_seconds)
    _await_ends(rig, "j", sizes.wall_jobs)
    starts, ends = rig.log.starts("j"), rig.log.ends("j")
    return {
        "wall_s": (max(event.at for event in ends) - said["began"]) / 1e9,
        "all_started_s": (max(event.at for event in starts) - said["began"]) / 1e9,
        "peak": _peak([event.at for event in starts], [event.at for event in ends]),
        "started_twice": len(starts) - len({event.job for event in starts}),
    }


def _await_ends(rig: Rig, prefix: str, count: int) -> None:
    """Raises MeasurementFailed."""
    if not until(lambda: len(rig.log.ends(prefix)) >= count, _CAP_SECONDS):
        ended = len(rig.log.ends(prefix))
        raise MeasurementFailed(f"{ended} of {count} jobs ended in {_CAP_SECONDS} s: {rig.last_words()}")


def _workers_cpu(rig: Rig) -> float:
    return sum(worker.cpu_seconds() for worker in rig.workers)


def _peak(starts: list[int], ends: list[int]) -> int:
    running = most = 0
    for _, change in sorted([(at, 1) for at in starts] + [(at, -1) for at in ends]):
        running += change
        most = max(most, running)
    return most


WALL = Measurement("wall", _profiles, _prepare, _measure)
