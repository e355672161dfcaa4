"""The raw rows of a run, one JSON line each: what the report is made from, and what it can be made from again."""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.measurement import Figures

FOLDER = Path(__file__).parent / ".runs"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement of one contender: its figures, or why there are none."""

    measurement: str
    contender: str
    profile: str
    repeat: int
    figures: Figures = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What all rows of a run have in common."""

    day: str
    machine: str
    load: float
    """Processes that wanted to run in the minute before the first measurement; near 0 when nobody else is there."""
    repeats: int
    small: bool
    versions: dict[str, dict[str, str]]
    """Contender → package → version."""
    absent: dict[str, str]
    """Contender → why it could not take part."""


class RowFile:
    """Written as the rows come, from any thread."""

    def __init__(self, run: Run, section: str = "queue", path: Path | None = None) -> None:
        self.path = path or FOLDER / time.strftime(f"{section}-%Y%m%d-%H%M%S.jsonl", time.gmtime())
        self.path.parent.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._write({"run": asdict(run)})

    def add(self, row: Row) -> None:
        self._write({"row": asdict(row)})

    def _write(self, record: dict[str, Any]) -> None:
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def read(paths: Iterable[Path]) -> tuple[Run, list[Row]]:
    """The rows of all files together. Versions add up, one small run makes the whole a small one, the highest load
    is told, and for the rest the last run's word counts."""
    runs: list[Run] = []
    rows: list[Row] = []
    for path in paths:
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            if "run" in record:
                runs.append(Run(**record["run"]))
            else:
                rows.append(Row(**record["row"]))
    if not runs:
        raise ValueError("no run in these files")
    versions = {name: found for run in runs for name, found in run.versions.items()}
    absent = {name: why for run in runs for name, why in run.absent.items() if name not in versions}
    small = any(run.small for run in runs)
    last = runs[-1]
    load = max(run.load for run in runs)
    repeats = len({row.repeat for row in rows})  # one that was interrupted has fewer than it set out for
    return Run(last.day, last.machine, load, repeats, small, versions, absent), rows
