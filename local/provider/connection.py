"""The HTTP connection under one call: its body, whether the client is still there, and how to cut it."""

import asyncio
import json
from typing import Any, cast

from starlette.types import Receive, Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from local.provider.errors import ApiError, invalid_request, request_too_large

MAX_BODY_BYTES = 32 * 1024 * 1024
_TRANSPORT = "transport"


class CuttableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol, which also hands its transport to the application so that a fault can cut it."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.app_state = {**self.app_state, _TRANSPORT: transport}
        super().connection_made(transport)


def cut(scope: Scope) -> None:
    """Close the connection at once, whatever was half sent."""
    cast("asyncio.Transport", scope["state"][_TRANSPORT]).abort()


async def read_json(receive: Receive) -> Any:
    """The body. Raises ApiError 413 or 400 (too large, not JSON), ConnectionResetError when it breaks off."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        if not message.get("more_body"):
            break
    if size > MAX_BODY_BYTES:  # all of it was read, as a client that is still sending would not see the answer
        raise request_too_large()
    return _decode(b"".join(chunks))


async def client_gone(receive: Receive) -> None:
    """Returns when the client has closed the connection. Call it after the body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise _not_json(error) from None


def _not_json(error: ValueError) -> ApiError:
    return invalid_request(f"The request body is not valid JSON: {error}")
