"""The process: serve, say where once connections are really accepted, end cleanly."""

import json
import os
import signal
import socket
import sys
import threading

import uvicorn

from local.provider.app import build_app
from local.provider.connection import CuttableProtocol
from local.provider.settings import Settings
from local.provider.state import State

_GRACE_SECONDS = 1
"""What calls in flight get to finish when the provider ends."""


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            print(json.dumps({"event": "listening", "url": f"http://{self.config.host}:{port}"}), flush=True)


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises SystemExit 1 when the port cannot be had."""
    config = uvicorn.Config(
        build_app(State(settings)),
        host=settings.host,
        port=settings.port,
        http=CuttableProtocol,
        lifespan="off",
        ws="none",
        log_level="critical",  # uvicorn calls every connection that a fault cuts an error
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        backlog=4096,
    )
    if settings.watch_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    # uvicorn raises the signal again when it has shut down; a wanted end is status 0, not a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        listening = socket.create_server((settings.host, settings.port), backlog=config.backlog)
    except OSError as error:
        sys.exit(f"cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0)}")
    Server(config).run([listening])


def _end_with_stdin() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would still be held when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)
