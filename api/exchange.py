"""What is true of every exchange: a request id, no caching, a measured duration, never a bare error."""

import re
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from api.problems import Code, Problem
from shared import clock, ids, log, metrics
from shared.errors import StoreUnavailable

logger = log.get(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_STORE = (b"cache-control", b"no-store")
_SAFE = re.compile(r"[A-Za-z0-9_.:\-]{1,128}\Z")


class Exchange:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = clock.monotonic(), 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_of_every_answer(request_id)]
            await send(message)

        bound = bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if status:  # the answer has begun; all that is left is to cut it off
                raise
            await _problem(error).response(instance=scope["path"], request_id=request_id)(scope, receive, send_on)
        finally:
            reset_contextvars(**bound)
            route: Any = scope.get("route")
            path = getattr(route, "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics.HTTP_SECONDS.labels(method, path, status).observe(clock.monotonic() - started)


def no_http(headers: Headers) -> Response:
    """The answer to what the server could not read: it has not come as far as the application."""
    request_id = _request_id(headers)
    problem = Problem(Code.HTTP_ERROR, "This is no HTTP/1.1 that can be read; the connection is closed.")
    response = problem.response(instance="", request_id=request_id)
    response.raw_headers += _of_every_answer(request_id)
    return response


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _SAFE.match(given) else ids.new_request_id()


def _of_every_answer(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-request-id", request_id.encode()), _NO_STORE]


def _problem(error: Exception) -> Problem:
    if isinstance(error, StoreUnavailable):
        return store_unavailable()
    logger.exception("request_failed", error=type(error).__name__)
    return Problem(Code.INTERNAL_ERROR, "Something went wrong here; quote the request_id when you report it.")


def store_unavailable() -> Problem:
    detail = "The job store is not available; repeat the request, with an Idempotency-Key so that it counts once."
    return Problem(Code.STORE_UNAVAILABLE, detail, headers={"Retry-After": "2"})


def all_of(request: Request, header: str) -> str | None:
    """A header that is a list, which may come in several lines (RFC 9110 §5.3); None when it is not there."""
    return ", ".join(request.headers.getlist(header)) if header in request.headers else None
