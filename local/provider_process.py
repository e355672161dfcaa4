"""The simulated provider as a child process, for tests and the demo."""

import json
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_CONTROL_SECONDS = 10.0
_LOG_LINES = 20
_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ProviderError(Exception):
    """The provider did not start; holds the last lines it wrote."""


class ProviderProcess:
    """`with ProviderProcess("--latency", "0") as provider: ...` starts it on a free port and ends it.

    It runs in a session of its own, so Ctrl-C in the terminal leaves it up while workers drain, and it ends
    by itself when this process dies.
    """

    def __init__(self, *flags: str) -> None:
        """Flags as for `python -m local.provider`."""
        self._flags = flags
        self._process: subprocess.Popen[str] | None = None
        self._errors: list[str] = []
        self.url = ""
        """Base URL, to be used as ANTHROPIC_BASE_URL."""

    def start(self) -> Self:
        """Returns when connections are accepted. Raises ProviderError."""
        command = [sys.executable, "-m", "local.provider", "--port", "0", "--watch-stdin", *self._flags]
        self._process = subprocess.Popen(
            command,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        announced: Queue[str] = Queue()
        threading.Thread(target=self._read_errors, args=(self._process,), daemon=True).start()
        threading.Thread(target=_read_output, args=(self._process, announced), daemon=True).start()
        try:
            line = announced.get(timeout=_START_SECONDS)
            self.url = json.loads(line)["url"]
        except (Empty, ValueError, KeyError):
            self.stop()
            raise ProviderError("the provider did not start:\n" + "".join(self._errors)) from None
        return self

    def stop(self) -> None:
        """SIGTERM, SIGKILL when that does not help. Safe to call twice."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Raises ProviderError when it is not running."""
        if self._process is None:
            raise ProviderError("the provider is not running")
        return self._process.pid

    def calls(self) -> list[dict[str, Any]]:
        """The ledger, the oldest call first; fields: local/provider/ledger.py."""
        calls: list[dict[str, Any]] = self._control("/_sim/calls")["calls"]
        return calls

    def stats(self) -> dict[str, Any]:
        """Totals; fields: local/provider/ledger.py."""
        return self._control("/_sim/stats")

    def set_fault(self, fault: str | None, **options: Any) -> None:
        """For all calls; options: count, seconds, probability, retry_after, model. None ends it."""
        self._control("/_sim/faults", {"fault": fault, **options})

    def change_limits(self, **changes: Any) -> None:
        """From now on; options: `LimitsChange` in local/provider/limits.py."""
        self._control("/_sim/limits", changes)

    def let_in(self, **use: Any) -> None:
        """A foreign user of the same key; options: `ForeignUse` in local/provider/limits.py."""
        self._control("/_sim/foreign", use)

    def books(self, model: str) -> dict[str, Any]:
        """What flowed in and out of a model's limits, and who used it; fields: buckets.py and account.py there."""
        found: dict[str, Any] = self._control("/_sim/books")["models"][model]
        return found

    def reset(self) -> None:
        """Forget calls, faults and cache, and fill the buckets."""
        self._control("/_sim/reset", {})

    def _control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data)  # noqa: S310 - always http, our own child
        with _WITHOUT_PROXY.open(request, timeout=_CONTROL_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def _read_errors(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            self._errors = [*self._errors, line][-_LOG_LINES:]


def _read_output(process: subprocess.Popen[str], announced: Queue[str]) -> None:
    """The first line, or an empty one when there is none; then on, so that the pipe never fills."""
    stdout = process.stdout
    if stdout is None:
        return
    announced.put(stdout.readline())
    for _ in stdout:
        pass
