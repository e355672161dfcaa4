"""The api or a worker as the fork of a process that has only imported things: up in a fraction of a second.

Half of what the suite computed was the same imports, once for each of some three hundred processes. All else is as
`python -m worker` has it: a process, session, environment and output of its own, real signals, an exit code. That the
commands themselves work is seen in tests/local, which starts everything as a user does, and wherever a test measures.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from typing import Any, TextIO

from local.service_process import ServiceProcess

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["api.main", "worker.main", __name__])
_one_at_a_time = threading.Lock()
"""The library reads a child's exit code once, whoever asks, and asks for all of them when another one is started."""


class ForkedService(ServiceProcess):
    """A `ServiceProcess`, forked."""

    def _launch(self) -> Any:
        return Child(self._part, self._environment)


class Child:
    """Of `subprocess.Popen` what a `ServiceProcess` uses."""

    def __init__(self, part: str, environment: Mapping[str, str]) -> None:
        ours, theirs = _forks.Pipe(duplex=False)
        self._process = _forks.Process(target=_live, args=(part, dict(environment), theirs), daemon=True)
        with _one_at_a_time:
            self._process.start()
        theirs.close()
        self.pid: int = self._process.pid
        self.stdout: TextIO = os.fdopen(os.dup(ours.fileno()), encoding="utf-8")
        ours.close()

    def poll(self) -> int | None:
        with _one_at_a_time:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _live(part: str, environment: dict[str, str], output: Connection) -> None:
    """`python -m part`, in the child."""
    os.setsid()
    os.dup2(output.fileno(), sys.stdout.fileno())
    os.dup2(output.fileno(), sys.stderr.fileno())
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = [part]
    runpy.run_module(part, run_name="__main__", alter_sys=True)
