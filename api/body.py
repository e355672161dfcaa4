"""Reading a JSON body: limited before it is read, strict in what it takes."""

import asyncio
import math
from typing import Any

from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from api.problems import Code, FieldError, Problem, invalid

MAX_DEPTH = 32
READ_SECONDS = 30.0


async def read_json(request: Request, *, max_bytes: int) -> Any:
    """The parsed body. Raises Problem for a body that is too large, not JSON, or holds what no job may hold."""
    _check_headers(request, max_bytes)
    raw = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError as error:
        detail = f"The body was not complete after {READ_SECONDS:g} seconds."
        raise Problem(Code.BODY_TIMEOUT, detail) from error
    except ClientDisconnect as error:
        raise Problem(Code.BAD_JSON, "The body ended before it was complete.") from error
    try:
        raw.decode("utf-8")
        value = from_json(bytes(raw), allow_inf_nan=False)
    except UnicodeDecodeError as error:
        raise Problem(Code.BAD_JSON, f"The body is not UTF-8 at byte {error.start}.") from error
    except ValueError as error:
        raise Problem(Code.BAD_JSON, f"The body is not JSON: {error}.") from error
    _check_value(value, "#", 1)
    return value


def _check_headers(request: Request, max_bytes: int) -> None:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body as Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding.")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> Problem:
    # Without `Connection: close`: to close on a caller that still sends would reset the connection, and the answer
    # would be lost with it. The server throws away what still comes of the body.
    return Problem(Code.BODY_TOO_LARGE, f"The body may have {max_bytes} bytes at most.")


def _check_value(value: Any, pointer: str, depth: int) -> None:
    """Refuses what JSON allows but nothing downstream can keep: NUL, infinities, bottomless nesting."""
    if depth > MAX_DEPTH:
        raise invalid(FieldError(pointer=pointer, detail=f"nested deeper than {MAX_DEPTH} levels"))
    if isinstance(value, str) and "\0" in value:
        raise invalid(FieldError(pointer=pointer, detail="holds a NUL character"))
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid(FieldError(pointer=pointer, detail="is too large a number"))
    if isinstance(value, dict):
        for key, item in value.items():
            at = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            if "\0" in key:
                raise invalid(FieldError(pointer=at.replace("\0", "\\u0000"), detail="the name holds a NUL character"))
            _check_value(item, at, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_value(item, f"{pointer}/{index}", depth + 1)
