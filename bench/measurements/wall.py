"""Whether six workers really hold a hundred long jobs each, and what it costs Redis while these only wait."""

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import MeasurementFailed, Rig
from bench.waiting import observe, until

_CAP_SECONDS = 120
_ALL_STARTED_SECONDS = 1.2
_WATCHED_SHARE = 0.7
"""Of a job's length: commands are counted for so long, while all that started only wait. Shorter than a lease's third
it would see some renewals and miss others."""


def _profiles(contender: Contender) -> tuple[str, ...]:
    if contender.wall is None:
        return ()
    return ("default", "wall") if contender.also_default else ("wall",)


def _prepare(rig: Rig, sizes: Sizes) -> None:
    wall = rig.contender.wall
    assert wall
    rig.ready(slots=wall.slots, workers=wall.workers)


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    said = rig.submit(prefix="j", count=sizes.wall_jobs, mode="bulk", seconds=sizes.wall_seconds)
    until(lambda: len(rig.log.starts("j")) >= sizes.wall_jobs, _ALL_STARTED_SECONDS)
    commands, cpu = sum(rig.store.commands().values()), _cpu(rig)
    watched = observe(_WATCHED_SHARE * sizes.wall_seconds)
    commands_per_second = (sum(rig.store.commands().values()) - commands) / watched
    cores = (_cpu(rig) - cpu) / watched
    until(lambda: len(rig.log.ends("j")) >= sizes.wall_jobs, _CAP_SECONDS)
    starts, ends = rig.log.starts("j"), rig.log.ends("j")
    if len(ends) < sizes.wall_jobs:
        raise MeasurementFailed(f"{len(ends)} of {sizes.wall_jobs} jobs ended in {_CAP_SECONDS} s: {rig.last_words()}")
    return {
        "wall_s": (max(event.at for event in ends) - said["began"]) / 1e9,
        "all_started_s": (max(event.at for event in starts) - said["began"]) / 1e9,
        "peak": _peak([event.at for event in starts], [event.at for event in ends]),
        "started_twice": len(starts) - len({event.job for event in starts}),
        "commands_per_s": commands_per_second,
        "cpu_percent": 100 * cores,
    }


def _cpu(rig: Rig) -> float:
    return sum(worker.cpu_seconds() for worker in rig.workers) + rig.store.cpu_seconds()


def _peak(starts: list[int], ends: list[int]) -> int:
    running = most = 0
    for _, change in sorted([(at, 1) for at in starts] + [(at, -1) for at in ends]):
        running += change
        most = max(most, running)
    return most


WALL = Measurement("wall", _profiles, _prepare, _measure)
