"""One measurement's surroundings: a server, a folder, an event log, workers and drivers, all ended when it ends."""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.contender import Contender
from bench.events import EventLog
from bench.process_tree import ProcessTree
from bench.store import Store
from bench.waiting import until
from local.guard import Guard

_WORD_CHARACTERS = 500
_QUIET_CPU_SECONDS = 0.06
_QUIET_LOOKS = 4
_LOOK_SECONDS = 0.3
_SETTLE_SECONDS = 90.0
_START_SECONDS = 60.0
_DRIVER_SECONDS = 300.0


class MeasurementFailed(Exception):
    """Why there is no figure; the message goes into the report."""


class Rig:
    """Use as a context manager."""

    def __init__(self, contender: Contender, profile: str) -> None:
        self.contender = contender
        self.profile = profile
        self.workers: list[ProcessTree] = []
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-"))
            self.folder = Path(folder)
            self.store = exits.enter_context(Store())
            self.log = EventLog(self.folder / "events.log")
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def add_worker(self, slots: int = 0) -> ProcessTree:
        """`slots` 0 is the library's default."""
        output = self.folder / f"worker{len(self.workers)}.out"
        worker = ProcessTree(self._command("worker", slots), self.folder, self.contender.environment(), output)
        self.workers.append(worker)
        self._exits.callback(worker.kill)
        return worker

    def ready(self, slots: int = 0, workers: int = 1) -> None:
        """So many workers that have started, run a job, and are idle. Raises MeasurementFailed."""
        for _ in range(workers):
            self.add_worker(slots)
        self._settle()
        self.submit(prefix="warming")
        self.await_starts("warming", 1, _START_SECONDS)

    def await_starts(self, prefix: str, count: int, seconds: float) -> None:
        """Raises MeasurementFailed when fewer jobs than that have started by then."""
        if not until(lambda: len(self.log.starts(prefix)) >= count, seconds, step=0.02):
            seen = len(self.log.starts(prefix))
            raise MeasurementFailed(f"{seen} of {count} jobs started within {seconds:.0f} s: {self.last_words()}")

    def submit(self, *, prefix: str, count: int = 1, **flags: object) -> dict[str, Any]:
        """What the driver said when all were submitted. Flags as for the driver. Raises MeasurementFailed."""
        return self._driven("submit", prefix=prefix, count=count, **flags)

    def trickle(self, *, prefix: str, count: int, **flags: object) -> dict[str, Any]:
        """Submits one now and then until all are."""
        return self._driven("latency", prefix=prefix, count=count, **flags)

    @contextmanager
    def traffic(self, seconds: float) -> Iterator[None]:
        """A job every few seconds meanwhile: some libraries look after lost jobs only while others come."""
        flags = {"prefix": "traffic", "count": int(seconds / 4) + 1, "shortest-gap": 3, "longest-gap": 5}
        with self._driver("latency", flags):
            yield

    def last_words(self) -> str:
        """The end of what the workers wrote."""
        outputs = sorted(self.folder.glob("worker*.out"))
        return " | ".join(path.read_text(errors="replace")[-_WORD_CHARACTERS:].strip() for path in outputs)

    def _settle(self) -> None:
        """Until every worker has used next to no CPU for more than a second: it has started and is idle."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        before, quiet = self._used(), 0
        while quiet < _QUIET_LOOKS:
            if time.monotonic() > deadline:
                raise MeasurementFailed(f"the workers never came to rest: {self.last_words()}")
            time.sleep(_LOOK_SECONDS)
            now = self._used()
            if not all(worker.alive for worker in self.workers):
                raise MeasurementFailed(f"a worker ended: {self.last_words()}")
            started = all(used > _QUIET_CPU_SECONDS for used in now)
            rests = all(after - earlier < _QUIET_CPU_SECONDS for earlier, after in zip(before, now, strict=True))
            quiet = quiet + 1 if started and rests else 0
            before = now

    def _used(self) -> list[float]:
        return [worker.cpu_seconds() for worker in self.workers]

    def _driven(self, action: str, **flags: object) -> dict[str, Any]:
        with self._driver(action, flags) as process:
            try:
                said, complaints = process.communicate(timeout=_DRIVER_SECONDS)
            except subprocess.TimeoutExpired:
                raise MeasurementFailed(f"the driver did not end within {_DRIVER_SECONDS:.0f} s") from None
        if process.returncode:
            last = (complaints.strip().splitlines() or [f"status {process.returncode}"])[-1]
            raise MeasurementFailed(f"the driver failed: {last}")
        answer: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return answer

    @contextmanager
    def _driver(self, action: str, flags: dict[str, object]) -> Iterator["subprocess.Popen[str]"]:
        """Ended at the latest when this is left, or when this process dies."""
        options = [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        process = subprocess.Popen(
            [*self._command("driver", 0), action, *options],
            cwd=self.folder,
            env=self.contender.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        guard = Guard(process.pid)
        try:
            yield process
        finally:
            guard.end()
            process.kill()
            process.communicate()

    def _command(self, what: str, slots: int) -> list[str]:
        return self.contender.command(what, redis=self.store.url, log=self.log.path, profile=self.profile, slots=slots)
