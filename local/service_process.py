"""The api or a worker as a child process, for the one-machine stack and the tests."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.guard import Guard
from local.log_line import readable

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_LINES_KEPT = 10_000
_LAST_LINES = 15

LogLine = dict[str, Any]


class ServiceError(Exception):
    """The process did not start; holds what it wrote."""


class ServiceProcess:
    """`with ServiceProcess("api", {"REDIS_URL": …}) as api: ...` starts it on a free port and ends it.

    It runs in a session of its own, so Ctrl-C in the terminal reaches only whoever started it. A guard ends it when
    this process dies, however that happens.
    """

    def __init__(
        self,
        part: str,
        environment: Mapping[str, str],
        *,
        on_log: Callable[[LogLine], None] | None = None,
    ) -> None:
        """`part` is the module that `python -m` runs: api, worker, or a test's build of one. `environment` is all it
        gets besides PATH and the like: no setting leaks in from outside."""
        self._part = part
        self._environment = _clean() | dict(environment)
        self._on_log = on_log
        self._process: subprocess.Popen[str] | None = None
        self._guard: Guard | None = None
        self._reader: threading.Thread | None = None
        self._up = threading.Event()
        self.url = ""
        """`http://host:port` of the api, or of the worker's operations port."""
        self.log: list[LogLine] = []
        """What it has logged, the last 10,000 lines at least; a line that is no JSON is under `text`."""

    def start(self) -> Self:
        """Returns when connections are accepted. Raises ServiceError."""
        self._process = self._launch()
        self._guard = Guard(self._process.pid)
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        self._up.wait(_START_SECONDS)
        if not self.url:
            self.kill()
            raise ServiceError(f"python -m {self._part} did not start:\n{self.last_words()}")
        return self

    def stop(self) -> int | None:
        """SIGTERM, SIGKILL when that does not help; the exit code. Safe to call twice."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._reap()

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """The exit code, None when it still runs after that time."""
        if self._process is None:
            return None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_text(self) -> str:
        return "\n".join(line.get("text") or json.dumps(line) for line in self.log)

    def last_words(self) -> str:
        """The end of its log, for whoever has to tell that it is gone."""
        if self._reader is not None and not self.is_running:
            self._reader.join(1)
        return "\n".join(readable(line) for line in self.log[-_LAST_LINES:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", self._part],
            cwd=_ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # what an agent prints is worth seeing
            text=True,
            start_new_session=True,
        )

    def _reap(self) -> int | None:
        """Waits for its end, after which the guard must not take another process of that number for it."""
        code = self._process.wait() if self._process is not None else None
        if self._guard is not None:
            self._guard.end()
        return code

    def _read(self, process: subprocess.Popen[str]) -> None:
        for text in process.stdout or ():
            line = _parsed(text)
            self.log.append(line)
            if len(self.log) > 2 * _LINES_KEPT:
                del self.log[:-_LINES_KEPT]
            if line.get("event") in ("api_up", "worker_up"):
                self.url = line.get("url") or line["operations"]
                self._up.set()
            if self._on_log:
                self._on_log(line)
        self._up.set()


def _parsed(text: str) -> LogLine:
    try:
        line = json.loads(text)
    except ValueError:
        return {"text": text.rstrip()}
    return line if isinstance(line, dict) else {"text": text.rstrip()}


def _clean() -> dict[str, str]:
    """Our environment without the settings in it."""
    ours = ("SLUICE_", "ANTHROPIC_", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
