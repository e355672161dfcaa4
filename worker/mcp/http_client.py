"""HTTP to an MCP server, which tells whether a call that failed can have arrived.

The protocol's library takes any error below HTTP for the end of the connection, and so of all other calls under way on
it. Here such an error becomes an answer with a code of ours, and ends the one call.
"""

from collections.abc import Mapping
from typing import Any

import httpx2

UNSENT = (-32080, "not reached")
"""Code and message of a call that did not get to the server. The codes are of those that JSON-RPC leaves open."""
LOST = -32081
"""The call went out, and what came back is no answer to it."""

_READ_SECONDS = 300.0
"""Between two bytes of a stream; how long a call may take, its caller sees to."""


class TellingClient(httpx2.AsyncClient):
    """Raises no network error while a request is sent."""

    def __init__(self, headers: Mapping[str, str], connect_seconds: float) -> None:
        super().__init__(headers=dict(headers), timeout=httpx2.Timeout(connect_seconds, read=_READ_SECONDS))

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            return _answer(request, 503, *UNSENT)
        except httpx2.TransportError as error:
            return _answer(request, 502, LOST, type(error).__name__)
        if response.is_server_error and not _is_json(response):  # a proxy's
            await response.aclose()
            return _answer(request, response.status_code, LOST, f"HTTP {response.status_code}")
        return response


def _is_json(response: httpx2.Response) -> bool:
    return str(response.headers.get("content-type", "")).lower().startswith("application/json")


def _answer(request: httpx2.Request, status: int, code: int, message: str) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return httpx2.Response(status, json=error, request=request)
