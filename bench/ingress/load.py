"""A load of POSTs over connections that stay open: `python -m bench.ingress.load URL PATH KEY CONNECTIONS SECONDS`.

Each brings the bearer key KEY and an Idempotency-Key of its own.

A process of its own, with as little of a client as will do, so that the server is what is measured. Prints one line of
JSON: requests per second, milliseconds at the percentiles, all answers, and those with another status than wanted.
"""

import asyncio
import json
import os
import sys
import time
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bench.figures import percentile

BODY = json.dumps({"agent": "assistant", "input": "What is a job queue? " * 10}).encode()


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the one before is complete, until the time is up."""

    def __init__(self, head: bytes, number: int, until: float, warm: float) -> None:
        self._head = head
        self._name = b"%d-%d" % (os.getpid(), number)
        self._until = until
        self._warm = warm
        self._answer = b""
        self._sent = 0.0
        self.took: list[float] = []
        self.answers = 0
        self.other = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        now = time.perf_counter()
        if self._sent >= self._warm:
            self.took.append(now - self._sent)
        self.answers += 1
        self.other += head[9:12] not in (b"200", b"202")
        self._answer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(b"%s%s-%d\r\n\r\n%s" % (self._head, self._name, self.answers, BODY))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def run(url: str, path: str, key: str, connections: int, seconds: float) -> dict[str, float]:
    """The first fifth of the time warms up and does not count."""
    where = urlsplit(url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: "
    ).encode()
    begun = time.perf_counter()
    warm, until = begun + seconds / 5, begun + seconds
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            partial(Connection, head, number, until, warm), where.hostname or "", where.port or 80
        )
        for number in range(connections)
    ]
    await asyncio.gather(*(one.done for _, one in made))
    took = [1000 * one for _, connection in made for one in connection.took]
    return {
        "rate": len(took) / (seconds * 4 / 5),
        "p50_ms": percentile(took, 50),
        "p99_ms": percentile(took, 99),
        "answers": sum(one.answers for _, one in made),
        "other": sum(one.other for _, one in made),
    }


if __name__ == "__main__":
    url, path, key, connections, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(run(url, path, key, int(connections), float(seconds)))))
