"""Serving HTTP inside a process that owns its signals itself."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

GRACE_SECONDS = 30
"""How long open requests may take to end once the server stops."""


class Server(uvicorn.Server):
    """uvicorn without its signal handlers; it stops when `should_exit` is set."""

    def __init__(self, config: uvicorn.Config, on_up: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_up = on_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_up(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: Any, *, host: str, port: int, on_up: Callable[[str], None]) -> Server:
    """A server for an ASGI app; port 0 is any free one. `on_up` hears `http://host:port` once it accepts."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        ),
        on_up,
    )
