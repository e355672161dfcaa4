"""What became of each call, a line each: written by the workers, one file for each, and read when they have ended."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.gate.job import Job, Outcome

WAITING = "waiting"
"""Not an outcome: the run ended before the call could start."""
IN_FLIGHT = "in_flight"
"""Not an outcome: the run ended before the call did."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Times are seconds into the run."""

    tenant: str
    input_tokens: int
    asked: float
    started: float | None
    """When the last attempt began, which is the one that was answered; None when there was none."""
    ended: float
    attempts: int
    outcome: str

    @property
    def wait(self) -> float:
        """Seconds from the wish to the start; for one that never started, to the end."""
        if self.outcome in (Outcome.ANSWERED, IN_FLIGHT) and self.started is not None:
            return self.started - self.asked
        return self.ended - self.asked


class CallLog:
    """Appends to one worker's file. A line is out as soon as its call has ended: the worker may be killed."""

    def __init__(self, path: Path, began: float) -> None:
        """`began` is when the run did, on the clock that all processes of a machine share."""
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._began = began

    def add(self, job: Job, ended: float, outcome: str) -> None:
        record = CallRecord(
            tenant=job.order.tenant,
            input_tokens=job.order.input_tokens,
            asked=job.asked - self._began,
            started=None if job.started is None else job.started - self._began,
            ended=ended - self._began,
            attempts=job.attempts,
            outcome=outcome,
        )
        self._file.write(json.dumps(asdict(record)) + "\n")

    def unfinished(self, job: Job, ended: float) -> None:
        """The run is over for this one, too."""
        self.add(job, ended, IN_FLIGHT if job.calling else WAITING)


def read(paths: Iterable[Path]) -> list[CallRecord]:
    """Of all files together; a last line that was cut by a kill is left out."""
    records = []
    for path in paths:
        whole = path.read_text("utf-8").rpartition("\n")[0]
        records += [CallRecord(**json.loads(line)) for line in whole.splitlines()]
    return records
