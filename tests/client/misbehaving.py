"""A small HTTP server that does to its clients what networks and servers do: one act for each request, as told."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Misbehaving:
    """Does `acts` one after the other, the last of them for every further request; writes down who asked what."""

    url: str = ""
    acts: list[Act] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has closed a connection on which something was still to come."""

    def will(self, *acts: Act) -> None:
        self.acts = list(acts)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append(await _request(reader))
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            try:
                await act(reader, writer)
            except ConnectionError:
                self.gone.set()
        writer.close()


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    method, path, _ = line.split(" ")
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@asynccontextmanager
async def misbehaving() -> AsyncIterator[Misbehaving]:
    server = Misbehaving()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server


def answer(status: int, body: Any = None, kind: str = "application/json", **headers: str) -> Act:
    """A whole answer; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return raw(_head(status, {"content-type": kind, "content-length": str(len(content))} | _named(headers)) + content)


def problem(status: int, code: str, *, retryable: bool, errors: Any = None, **headers: str) -> Act:
    document = {"status": status, "code": code, "detail": f"It is {code}.", "retryable": retryable}
    more = {} if errors is None else {"errors": errors}
    return answer(status, document | {"request_id": "req_1"} | more, "application/problem+json", **headers)


def raw(content: bytes, ending: str = "close") -> Act:
    """These bytes, and then the connection is closed, or reset, or nothing more comes ("hang")."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        if ending == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif ending == "hang":
            await reader.read()
            raise ConnectionResetError

    return act


def reset() -> Act:
    return raw(b"", "reset")


def hang() -> Act:
    return raw(b"", "hang")


def drip(content: bytes, seconds: float, pieces: int = 1) -> Act:
    """So many bytes at a time, after so many seconds each."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(content), pieces):
            writer.write(content[start : start + pieces])
            await writer.drain()
            await asyncio.sleep(seconds)

    return act


def stream(content: bytes) -> bytes:
    """An event stream that begins so and goes on."""
    return _head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}) + chunk(content)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


LAST_CHUNK = b"0\r\n\r\n"


def event(number: int, kind: str = "text.delta", **data: Any) -> bytes:
    """In the format of a stream."""
    body = {"id": number, "object": "event", "type": kind, "created_at": "…", "job_id": "job_1", "data": data}
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def json_head(length: int) -> bytes:
    return _head(200, {"content-type": "application/json", "content-length": str(length)})


def _head(status: int, headers: dict[str, str]) -> bytes:
    fields = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status} Something", "connection: close", *fields, "", ""]).encode()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
