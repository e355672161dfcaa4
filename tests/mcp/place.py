"""The folder in which the server of `tests.mcp.server` is told how to behave and tells what it did."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.waiting import until

_ROOT = Path(__file__).parent.parent.parent


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def command(self) -> list[str]:
        """Of the server over standard input and output."""
        return [sys.executable, "-m", "tests.mcp.server", str(self.folder), "stdio"]

    def put(self, name: str) -> None:
        (self.folder / name).touch()

    def take(self, name: str) -> None:
        (self.folder / name).unlink()

    def marks(self, tool: str) -> list[tuple[str, str]]:
        """key and idempotency key of each call that did something, oldest first."""
        words = [line.split() for line in self._lines("marks")]
        return [(key, idempotency) for name, key, idempotency in words if name == tool]

    def pids(self) -> list[int]:
        """Of each start, oldest first."""
        return [int(line) for line in self._lines("pids")]

    async def started(self, times: int) -> int:
        """Once it has been started so often; its process id."""
        await until(lambda: len(self.pids()) >= times)
        return self.pids()[-1]

    def kill(self) -> None:
        os.kill(self.pids()[-1], signal.SIGKILL)

    def alive(self) -> list[int]:
        """Those of its processes that run."""
        return [pid for pid in self.pids() if _runs(pid)]

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


class HttpServer:
    """The same server over HTTP, as a process of the test's own; `stop` and `start` keep its address."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/mcp"

    def start(self) -> Self:
        command = [*self._place.command[:-1], "http", str(self._port)]
        self._process = subprocess.Popen(command, cwd=_ROOT)
        return self

    async def up(self) -> None:
        """Returns when it accepts connections."""
        await until(self._accepts)

    def stop(self) -> None:
        """At once, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
