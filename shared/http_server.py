"""Serving HTTP inside a process that owns its signals itself."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.errors import SettingsError

GRACE_SECONDS = 30
"""How long open requests may take to end once the server stops."""
_BACKLOG = 2048

NoHttp = Callable[[Headers], Response]
"""Answers what is no HTTP, from those of its headers that could be read."""


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


def server(
    app: Any,
    *,
    section: str,
    host: str,
    port: int,
    on_up: Callable[[str], None],
    no_http: NoHttp | None = None,
) -> Server:
    """A server for an ASGI app, bound but not yet serving; port 0 is any free one.

    `on_up` hears `http://host:port` once it accepts. `section` names the settings of host and port for the
    SettingsError that is raised when the address cannot be had. Without `no_http` what is none is answered in plain
    text.
    """
    listening = _bound(section, host, port)
    name, number = listening.getsockname()[:2]
    url = f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
    config = uvicorn.Config(
        app,
        http=_protocol(no_http) if no_http else HttpToolsProtocol,
        ws="none",  # a library for them that happens to be there would answer in the app's place
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config, listening, lambda: on_up(url))


def _protocol(no_http: NoHttp) -> type[HttpToolsProtocol]:
    """uvicorn's, but for the one answer that it gives without asking the app."""

    class Protocol(HttpToolsProtocol):
        def send_400_response(self, msg: str) -> None:
            answer = no_http(Headers(raw=self.headers or []))
            fields = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
            head = [STATUS_LINE[answer.status_code], *(b"%b: %b\r\n" % field for field in fields), b"\r\n"]
            self.transport.write(b"".join([*head, answer.body]))
            self.transport.close()

    return Protocol


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
