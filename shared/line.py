"""One connection on which many script calls are under way at once.

A pool gives each call a connection of its own for as long as it takes: that many system calls, checks and wake-ups,
and with many callers that many connections. Redis answers in the order of asking, so one connection is enough: what
is asked in one turn of the event loop is sent together, and answers are handed out as they come. Scripts are short
and Redis runs one at a time, so nobody waits here who would not wait there. Blocking commands, subscriptions and
pipelines go on using the pool.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from hiredis import Reader, pack_command
from redis import asyncio as redis_asyncio
from redis.exceptions import ConnectionError, NoScriptError, ResponseError

from shared import clock

_STUCK_SECONDS = 2.5
"""Who gives up after so long without an answer takes the connection for dead, for all who wait on it."""
_MUCH_BYTES = 32 * 1024
"""What is sent before the turn of the loop ends, so that Redis works while the rest is still being packed."""

Value = str | int | float


class Client(redis_asyncio.Redis):
    """redis-py's client, with its script calls on a line."""

    def __init__(self, *, connection_pool: redis_asyncio.ConnectionPool) -> None:
        super().__init__(connection_pool=connection_pool)
        self._line = Line(connection_pool.make_connection)

    async def evalsha(self, sha: str, numkeys: int, *values: Value) -> Any:
        return await self._line.call("EVALSHA", sha, numkeys, *values)

    async def eval(self, text: str, numkeys: int, *values: Value) -> Any:
        return await self._line.call("EVAL", text, numkeys, *values)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self._line.close()
        await super().aclose(close_connection_pool)


class Line:
    """Connects when it is first used, and anew after a break; whoever waited at a break gets a ConnectionError."""

    def __init__(self, make_connection: Callable[[], Any]) -> None:
        self._make_connection = make_connection
        self._talk: _Talk | None = None
        self._dialling: asyncio.Task[_Talk] | None = None

    async def call(self, *command: Value) -> Any:
        """The answer. Raises redis-py's errors."""
        talk = self._talk if self._talk and not self._talk.over else await self._dialled()
        return await talk.ask(command)

    async def close(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
        if self._talk is not None:
            self._talk.close()

    async def _dialled(self) -> "_Talk":
        """All who come meanwhile wait for the same attempt, and not each for one more time-out."""
        if self._dialling is None or self._dialling.done():
            self._dialling = asyncio.create_task(self._dial())
            self._dialling.add_done_callback(_heard)
        return await asyncio.shield(self._dialling)

    async def _dial(self) -> "_Talk":
        connection = self._make_connection()
        await connection.connect()
        self._talk = _Talk(connection)
        return self._talk


class _Talk(asyncio.Protocol):
    """What is asked and answered on one connection, until it breaks.

    redis-py has dialled, greeted and logged in. From then on its transport is this protocol's: redis-py's own reading
    and packing in Python cost about as much again as Redis does.
    """

    def __init__(self, connection: Any) -> None:
        self.over = False
        self._connection = connection
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._reader = Reader(encoding="utf-8", replyError=_error)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = connection._writer.transport
        self._transport.set_protocol(self)

    async def ask(self, command: tuple[Value, ...]) -> Any:
        if self.over:
            raise ConnectionError("the connection is closed")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._send(pack_command(command))  # type: ignore[arg-type]  # its stub means any number
        self._asked.append(answer)
        started = clock.monotonic()
        try:
            return await answer
        except asyncio.CancelledError:
            if clock.monotonic() - started > _STUCK_SECONDS:
                self.close()
            raise

    def close(self) -> None:
        self.over = True
        self._transport.abort()

    def _send(self, packed: bytes) -> None:
        """At once when nobody else talks or much has gathered, else with all that is asked in this turn of the loop."""
        if not self._asked:
            self._transport.write(packed)
            return
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        self._unsent_bytes += len(packed)
        if self._unsent_bytes > _MUCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._unsent and not self.over:
            self._transport.write(b"".join(self._unsent))
        self._unsent, self._unsent_bytes = [], 0

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (value := self._reader.gets()) is not False:
            answer = self._asked.popleft()
            if answer.done():  # whoever asked has gone
                continue
            if isinstance(value, ResponseError):
                answer.set_exception(value)
            else:
                answer.set_result(value)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(ConnectionError(str(exc or "the connection was closed")))
        self._asked.clear()
        self._connection._close()


def _heard(dialling: "asyncio.Task[_Talk]") -> None:
    """Whoever waited for it may have given up before it failed."""
    if not dialling.cancelled():
        dialling.exception()


def _error(text: str) -> ResponseError:
    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
