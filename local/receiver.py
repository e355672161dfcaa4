"""A receiver of webhooks, which takes what the client verifies."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from client.sluice_client import HeaderFields, InvalidWebhook, WebhookEvent, verify_webhook


@dataclass
class Receiver:
    """Use as a context manager; `secret` is the endpoint's, to be set before anything comes."""

    secret: str = ""
    events: dict[str, WebhookEvent] = field(default_factory=dict)
    """What has come and was verified, by `webhook-id`: what comes twice counts once."""
    refused: int = 0

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="receiver")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hooks"

    def jobs(self) -> set[str]:
        """The ids of the jobs of which word has come."""
        return {event["data"]["id"] for event in list(self.events.values())}

    def take(self, headers: HeaderFields, body: bytes) -> int:
        """The status that it is answered with."""
        try:
            event = verify_webhook(body, headers, self.secret)
        except InvalidWebhook:
            self.refused += 1
            return 400
        self.events[event["id"]] = event
        return 204


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = receiver.take(self.headers, body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the demo's screen is not for that."""

    return Handler
