"""Reading a JSON body: limited before it is read, strict in what it takes."""

import asyncio
import math
import re
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request

from api.problems import Code, FieldError, Problem, invalid

MAX_DEPTH = 32
READ_SECONDS = 30.0
_NUL = rb"\u0000"
_SUSPECT_NUMBER = re.compile(rb"[0-9](?:[eE]\+?[0-9]|[0-9]{299})")
"""How numbers beyond all bounds are written, and some others. All begin with a digit: to those `re` skips quickly."""
_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?([^\";\s]*)", re.IGNORECASE)


async def read_json(request: Request, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """The parsed body. Raises Problem for a body that is too large, not JSON, or holds what no job may hold."""
    _check_headers(request, max_bytes)
    try:
        async with asyncio.timeout(READ_SECONDS):
            raw = await _read(request, max_bytes)
    except TimeoutError as error:
        detail = f"The body was not complete after {READ_SECONDS:g} seconds; send it again, all at once."
        raise Problem(Code.BODY_TIMEOUT, detail) from error
    try:
        raw.decode("utf-8")
        value = from_json(raw, allow_inf_nan=False)
    except UnicodeDecodeError as error:
        raise Problem(Code.BAD_JSON, f"The body is not UTF-8 at byte {error.start}.") from error
    except ValueError as error:
        raise Problem(Code.BAD_JSON, f"The body is not JSON: {error}.") from error
    check_value(value, raw, max_depth)
    return value


async def read_optional_json(request: Request, *, max_bytes: int) -> Any:
    """The same; an empty object for a request without a body."""
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return {}
    return await read_json(request, max_bytes=max_bytes)


async def _read(request: Request, max_bytes: int) -> bytes:
    """The body, which mostly comes in one piece. `request.stream()` does the same, for more."""
    pieces, size, more = list[bytes](), 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(Code.BAD_JSON, "The body ended before it was complete.")
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _check_headers(request: Request, max_bytes: int) -> None:
    found: dict[bytes, list[bytes]] = {b"content-type": [], b"content-encoding": [], b"content-length": []}
    for name, value in request.scope["headers"]:
        if name in found:
            found[name].append(value)
    if len(found[b"content-type"]) != 1:
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body as Content-Type: application/json.")
    _check_kind(found[b"content-type"][0])
    if any(coding.strip().lower() != b"identity" for coding in found[b"content-encoding"]):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding.")
    if any(length.isdigit() and int(length[:20]) > max_bytes for length in found[b"content-length"]):
        raise _too_large(max_bytes)


def _check_kind(kind: bytes) -> None:
    if kind == b"application/json":
        return
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body as Content-Type: application/json.")
    charset = _CHARSET.search(kind)
    if charset and charset[1].lower() not in (b"utf-8", b"utf8"):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body in UTF-8, in which JSON always is.")


def _too_large(max_bytes: int) -> Problem:
    # Without `Connection: close`: to close on a caller that still sends would reset the connection, and the answer
    # would be lost with it. The server throws away what still comes of the body.
    return Problem(Code.BODY_TOO_LARGE, f"The body may have {max_bytes} bytes at most; send less.")


def check_value(value: Any, raw: bytes, max_depth: int = MAX_DEPTH) -> None:
    """Refuses what JSON allows but nothing downstream can keep: NUL, infinities, bottomless nesting.

    Most bodies have none of what such values are written with, and then are not walked through.
    """
    shallow = raw.count(b"[") + raw.count(b"{") < max_depth
    if shallow and _NUL not in raw and not _SUSPECT_NUMBER.search(raw):
        return
    flaw = _flaw(value, max_depth)
    if flaw:
        raise invalid(FieldError(pointer="/".join(["#", *reversed(flaw.path)]), detail=flaw.detail))


@dataclass(slots=True)
class _Flaw:
    """`path` is that to the value, from the inside out."""

    detail: str
    path: list[str] = field(default_factory=list)


def _flaw(value: Any, levels: int) -> _Flaw | None:
    """The first value in this container that cannot be kept; `levels` are those that may be open, with this one."""
    if not isinstance(value, dict | list):
        return None
    if levels == 1 and value:
        return _Flaw(
            f"nested deeper than {MAX_DEPTH} levels", [_token(next(iter(value))) if isinstance(value, dict) else "0"]
        )
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        kind, found = type(item), None
        if type(name) is str and "\0" in name:
            return _Flaw("the name holds a NUL character", [_token(name)])
        if kind is str:
            found = _Flaw("holds a NUL character") if "\0" in item else None
        elif kind is float:
            found = None if math.isfinite(item) else _Flaw("is too large a number")
        elif kind is dict or kind is list:
            found = _flaw(item, levels - 1)
        if found:
            found.path.append(_token(name))
            return found
    return None


def _token(name: str | int) -> str:
    return str(name).replace("~", "~0").replace("/", "~1").replace("\0", "\\u0000")
