"""A TCP line between two processes that breaks on demand, in all the ways a network can.

It stands between one of our processes and Redis (or between a client and the api): each process gets a link of its
own, so that one of them can lose its connection while the others keep theirs. What no killed server can show is here:
silence without an end, and the answer that is lost after the work was done.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

_HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536
_COMMAND_SECONDS = 10.0
_BACKLOG = 512

T = TypeVar("T")


class Link:
    """`with Link(server.port) as link: ...` forwards `127.0.0.1:link.port` to that port, from a thread of its own.

    All methods may be called from any thread, and what they say holds when they return.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._place: socket.socket | None = None
        self._listener: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._speaking = asyncio.Event()
        self._to_lose: list[tuple[bytes, threading.Event]] = []
        self.port = 0
        """The same from `start` to `close`, also while connections are refused."""

    def start(self) -> Self:
        """Returns when connections are accepted."""
        self._place = _bound(0)
        self.port = self._place.getsockname()[1]
        self._thread.start()
        self._do(self._listen())
        self._do(self._speak())
        return self

    def close(self) -> None:
        """Cuts everything. Safe to call twice."""
        if self._place is None:
            return
        self._do(self._stop_listening())
        self._do(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._place.close()
        self._place = None

    def cut(self) -> None:
        """Ends every connection; new ones are welcome."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Ends every connection and takes no new ones until `accept`."""
        self._do(self._stop_listening())
        self._do(self._cut())

    def accept(self) -> None:
        self._do(self._listen())

    def silence(self) -> None:
        """Connections stay and new ones are accepted, but nothing gets through until `speak`."""
        self._do(self._hush())

    def speak(self) -> None:
        """What was held back arrives now, in order: to each side the other was only slow."""
        self._do(self._speak())

    def strand(self) -> None:
        """Connections that are open now stay so for ever and nothing gets through, as when a machine vanishes without
        a word; new ones work."""
        self._do(self._strand())

    def lose_answer(self, to: bytes) -> threading.Event:
        """The next request that contains these bytes is forwarded and carried out; instead of its answer the connection
        ends. The event is set when that has happened."""
        happened = threading.Event()
        self._do(self._arm(to, happened))
        return happened

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._lines)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _do(self, command: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(command, self._loop).result(_COMMAND_SECONDS)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._carry, sock=_bound(self.port), backlog=_BACKLOG)

    async def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _cut(self) -> None:
        lines = list(self._lines)
        for line in lines:
            line.cut()
        await asyncio.gather(*(line.ended.wait() for line in lines))

    async def _hush(self) -> None:
        self._speaking.clear()

    async def _speak(self) -> None:
        self._speaking.set()

    async def _strand(self) -> None:
        for line in self._lines:
            line.stranded = True

    async def _arm(self, to: bytes, happened: threading.Event) -> None:
        self._to_lose.append((to, happened))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self, reader, writer)
        self._lines.add(line)
        try:
            await line.run(self._to_port)
        finally:
            self._lines.discard(line)
            line.ended.set()

    async def speaking(self) -> None:
        """For a line: returns when the link speaks."""
        await self._speaking.wait()

    def loses_answer_to(self, request: bytes) -> threading.Event | None:
        """For a line: whether this request's answer is to be lost; each wish is fulfilled once."""
        for wish in self._to_lose:
            if wish[0] in request:
                self._to_lose.remove(wish)
                return wish[1]
        return None


class _Line:
    """One connection and its other half."""

    def __init__(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._link = link
        self._near = (reader, writer)
        self._pumps: list[asyncio.Task[None]] = []
        self._loses: threading.Event | None = None
        self._was_cut = False
        self.stranded = False
        self.ended = asyncio.Event()

    async def run(self, to_port: int) -> None:
        """Until either side closes, or it is cut."""
        far = await self._reach(to_port)
        if far is not None and not self._was_cut:
            self._pumps = [asyncio.create_task(self._ask(far[1])), asyncio.create_task(self._answer(far[0]))]
            await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in (self._near[1], far[1] if far is not None else None):
            if writer is not None:
                writer.transport.abort()

    def cut(self) -> None:
        self._was_cut = True
        for pump in self._pumps:
            pump.cancel()

    async def _reach(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        with suppress(OSError, TimeoutError):
            return await asyncio.wait_for(asyncio.open_connection(_HOST, port), _COMMAND_SECONDS)
        return None

    async def _heard(self) -> None:
        """Returns when what was said may get through: never on a line that is stranded, until it is cut."""
        await self._link.speaking()
        if self.stranded:
            await asyncio.Event().wait()

    async def _ask(self, far: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while request := await self._near[0].read(_CHUNK_BYTES):
                await self._heard()
                self._loses = self._loses or self._link.loses_answer_to(request)
                far.write(request)
                await far.drain()

    async def _answer(self, far: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while answer := await far.read(_CHUNK_BYTES):
                await self._heard()
                if self._loses is not None:
                    self._loses.set()
                    return
                self._near[1].write(answer)
                await self._near[1].drain()


def _bound(port: int) -> socket.socket:
    """Bound but not listening, it keeps the port ours while connections are refused."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind((_HOST, port))
    return place
