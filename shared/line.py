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
from contextlib import suppress
from typing import Any

from redis import asyncio as redis_asyncio
from redis.exceptions import ConnectionError, RedisError, ResponseError

from shared import clock

_STUCK_SECONDS = 2.5
"""Who gives up after so long without an answer takes the connection for dead, for all who wait on it."""

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
            await self._talk.close()

    async def _dialled(self) -> "_Talk":
        """All who come meanwhile wait for the same attempt, and not each for one more time-out."""
        if self._dialling is None or self._dialling.done():
            self._dialling = asyncio.create_task(self._dial())
        return await asyncio.shield(self._dialling)

    async def _dial(self) -> "_Talk":
        connection = self._make_connection()
        await connection.connect()
        self._talk = _Talk(connection)
        return self._talk


class _Talk:
    """What is asked and answered on one connection, until it breaks."""

    def __init__(self, connection: Any) -> None:
        self.over = False
        self._connection = connection
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._sending: asyncio.Task[None] | None = None
        self._listening = asyncio.create_task(self._listen())

    async def ask(self, command: tuple[Value, ...]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._unsent += self._connection.pack_command(*command)
        self._asked.append(answer)
        started = clock.monotonic()
        try:
            if len(self._asked) == 1:  # nobody else talks: at once
                await self._send()
            elif self._sending is None:  # with all that others ask in this turn of the loop
                self._sending = asyncio.create_task(self._send())
            return await answer
        except asyncio.CancelledError:
            if clock.monotonic() - started > _STUCK_SECONDS:
                self._listening.cancel()
            raise

    async def close(self) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening

    async def _send(self) -> None:
        """What is sent is buffered whole before anything is waited for, so that no cancel leaves half a command."""
        try:
            while self._unsent and not self.over:
                unsent, self._unsent = self._unsent, []
                await self._connection.send_packed_command(unsent, check_health=False)
        except (RedisError, OSError):
            self._listening.cancel()
        finally:
            self._sending = None

    async def _listen(self) -> None:
        reason = "the connection was given up"
        try:
            while True:
                try:
                    self._answer(await self._connection.read_response(), None)
                except ResponseError as error:
                    self._answer(None, error)
        except (RedisError, OSError) as error:
            reason = str(error)
        finally:
            self.over = True
            for waiting in self._asked:
                if not waiting.done():
                    waiting.set_exception(ConnectionError(reason))
            await self._connection.disconnect(nowait=True)

    def _answer(self, value: Any, error: ResponseError | None) -> None:
        waiting = self._asked.popleft()
        if waiting.done():  # whoever asked has gone
            return
        if error is None:
            waiting.set_result(value)
        else:
            waiting.set_exception(error)
