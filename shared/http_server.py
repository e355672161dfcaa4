"""Serving HTTP inside a process that owns its signals itself."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from shared.errors import SettingsError

GRACE_SECONDS = 30
"""How long open requests may take to end once the server stops."""
_BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn without its signal handlers; it stops when `should_exit` is set."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, on_up: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening
        self._on_up = on_up

    async def run_until_exit(self) -> None:
        await self.serve([self._listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_up()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: Any, *, section: str, host: str, port: int, on_up: Callable[[str], None]) -> Server:
    """A server for an ASGI app, bound but not yet serving; port 0 is any free one.

    `on_up` hears `http://host:port` once it accepts. `section` names the settings of host and port for the
    SettingsError that is raised when the address cannot be had.
    """
    listening = _bound(section, host, port)
    name, number = listening.getsockname()[:2]
    url = f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config, listening, lambda: on_up(url))


def _bound(section: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SettingsError(
            [f"{section}: cannot listen on {host}:{port}: {reason}; name another port or host"]
        ) from None
    listening.setblocking(False)
    return listening
