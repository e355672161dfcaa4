"""What the jobs of a measurement wrote down (bench/common/job_log.py), read as it grows."""

from dataclasses import dataclass
from pathlib import Path

from bench.common.job_log import CANCELLED, ENDED, STARTED


@dataclass(frozen=True, slots=True)
class Event:
    """Times in nanoseconds of CLOCK_MONOTONIC; an `attempt` of 0 was not told."""

    kind: str
    job: str
    submitted: int
    at: int
    pid: int
    attempt: int

    @classmethod
    def parse(cls, line: str) -> "Event":
        kind, job, submitted, at, pid, attempt = line.split()
        return cls(kind, job, int(submitted), int(at), int(pid), int(attempt))


class EventLog:
    """Jobs are told apart by the prefix of their names: `j0`, `j1`, …"""

    def __init__(self, path: Path) -> None:
        path.touch()
        self.path = path
        self._read = 0
        self._events: list[Event] = []

    def starts(self, prefix: str) -> list[Event]:
        return self._of(STARTED, prefix)

    def ends(self, prefix: str) -> list[Event]:
        return self._of(ENDED, prefix)

    def cancels(self, prefix: str) -> list[Event]:
        return self._of(CANCELLED, prefix)

    def _of(self, kind: str, prefix: str) -> list[Event]:
        return [event for event in self._all() if event.kind == kind and event.job.startswith(prefix)]

    def _all(self) -> list[Event]:
        """Whole lines only; the last one may be in the middle of being written."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._read += len(whole) + 1
            self._events += map(Event.parse, whole.decode().split("\n"))
        return self._events
