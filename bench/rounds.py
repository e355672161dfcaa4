"""The repeats, interleaved: each visits every contender with every measurement, in another order each time, so that a
machine that grows slower in the meantime does so for all."""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.contender import Contender
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import Rig
from bench.rows import Row

_ROOT = Path(__file__).parent.parent
_ERROR_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Task:
    """One row to be."""

    measurement: Measurement
    contender: Contender
    profile: str
    repeat: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What the repeats have in common."""
        return self.measurement.name, self.contender.name, self.profile

    def row(self, *, figures: Figures | None = None, error: Exception | None = None) -> Row:
        said = None if error is None else without_paths(f"{type(error).__name__}: {error}")
        return Row(*self.key, self.repeat, figures or {}, said)


class Rounds:
    """`run` makes all measurements and hands over each row as soon as there is one."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        measurements: Sequence[Measurement],
        sizes: Sizes,
        on_row: Callable[[Row], None],
    ) -> None:
        self._contenders = contenders
        self._measurements = measurements
        self._sizes = sizes
        self._on_row = on_row
        self._too_slow: set[tuple[str, str, str]] = set()

    def run(self, repeats: int) -> None:
        for repeat in range(1, repeats + 1):
            for measurement in self._measurements:
                tasks = [task for task in self._tasks(measurement, repeat) if not self._known(task)]
                random.Random(f"{repeat} {measurement.name}").shuffle(tasks)
                if measurement.in_step:
                    self._in_step(tasks, measurement.at_once)
                else:
                    with ThreadPoolExecutor(measurement.at_once) as pool:
                        list(pool.map(self._alone, tasks))

    def _tasks(self, measurement: Measurement, repeat: int) -> Iterator[Task]:
        for contender in self._contenders:
            for profile in measurement.profiles(contender):
                yield Task(measurement, contender, profile, repeat)

    def _known(self, task: Task) -> bool:
        """A second start that did not come within the cap once is not waited for again."""
        return task.key in self._too_slow

    def _alone(self, task: Task) -> None:
        try:
            with Rig(task.contender, task.profile) as rig:
                task.measurement.prepare(rig, self._sizes)
                figures = task.measurement.measure(rig, self._sizes)
        except Exception as error:  # whatever it is, it goes into the report and the others go on
            self._failed(task, error)
        else:
            self._done(task, figures)

    def _in_step(self, tasks: Sequence[Task], at_once: int) -> None:
        for first in range(0, len(tasks), at_once):
            with ExitStack() as exits, ThreadPoolExecutor(at_once) as pool:
                prepared = list(pool.map(lambda task: self._prepared(task, exits), tasks[first : first + at_once]))
                list(pool.map(self._measured, [pair for pair in prepared if pair]))

    def _prepared(self, task: Task, exits: ExitStack) -> tuple[Task, Rig] | None:
        try:
            rig = exits.enter_context(Rig(task.contender, task.profile))
            task.measurement.prepare(rig, self._sizes)
        except Exception as error:
            self._failed(task, error)
            return None
        return task, rig

    def _measured(self, prepared: tuple[Task, Rig]) -> None:
        task, rig = prepared
        try:
            figures = task.measurement.measure(rig, self._sizes)
        except Exception as error:
            self._failed(task, error)
        else:
            self._done(task, figures)

    def _done(self, task: Task, figures: Figures) -> None:
        if figures.get("recovered_s", 0) is None:
            self._too_slow.add(task.key)
        self._tell(task.row(figures=figures))

    def _failed(self, task: Task, error: Exception) -> None:
        self._tell(task.row(error=error))

    def _tell(self, row: Row) -> None:
        self._on_row(row)
        shown = {name: round(value, 2) if isinstance(value, float) else value for name, value in row.figures.items()}
        outcome = row.error or json.dumps(shown)
        print(time.strftime("%H:%M:%S"), row.repeat, row.measurement, row.contender, row.profile, outcome, flush=True)


def without_paths(text: str) -> str:
    """In one line, as the report is a table; and it names no folder of the machine that it was made on."""
    shorter = " ".join(text.split())
    for folder in (str(_ROOT), sys.base_prefix, tempfile.gettempdir(), str(Path.home())):
        shorter = shorter.replace(folder, "…")
    return shorter if len(shorter) <= _ERROR_CHARACTERS else "… " + shorter[-_ERROR_CHARACTERS:]
