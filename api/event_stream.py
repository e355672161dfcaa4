"""A job's events as they happen, over server-sent events.

Nothing is kept for a reader here but its cursor: it reads the job's stream in Redis when it is told of news and has
sent what it had. So one that is slow gets more at a time, one that does not read at all holds up nobody, and those
who read the same share one reading. Whoever is gone is freed at once.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.event_schemas import as_sent
from api.followers import Followers
from shared import backoff, log, metrics
from shared.errors import StoreUnavailable
from shared.event_log import EventLog

logger = log.get(__name__)

PING_SECONDS = 15.0
STALLED_SECONDS = 20.0
"""How long a reader may take nothing of what is sent to it. Until then as much waits as sockets hold."""
_AGAIN_SECONDS = 2.0
"""When to look for Redis again, and what readers are told of when to come again."""
_MOST_AT_ONCE = 200
_PING = b": ping\n\n"
_RUNNING = "job.running"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one reading brought, ready to be sent."""

    body: bytes
    cursor: int
    has_more: bool
    complete: bool


_Wish = tuple[str, str, int, bool]


class SharedReader:
    """Readings of the same that begin in one turn of the event loop are one: all who were woken by the same news."""

    def __init__(self, events: EventLog, followers: Followers) -> None:
        self._events = events
        self._followers = followers
        self._about_to: dict[_Wish, asyncio.Task[Chunk | None]] = {}

    async def read(self, job_id: str, tenant: str, after: int, *, new: bool) -> Chunk | None:
        """None for a job that there is not any more. A `new` reader lets the job's worker know. Raises
        StoreUnavailable."""
        wish = (job_id, tenant, after, new)
        if wish not in self._about_to:
            self._about_to[wish] = asyncio.create_task(self._read(*wish))
            self._about_to[wish].add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._about_to[wish])

    async def _read(self, job_id: str, tenant: str, after: int, new: bool) -> Chunk | None:
        del self._about_to[job_id, tenant, after, new]  # who comes from now on may know of more
        page = await self._events.read(job_id, tenant=tenant, after=after, most=_MOST_AT_ONCE)
        if page is None:
            return None
        if page.held and (new or any(event.type == _RUNNING for event in page.events)):
            with suppress(StoreUnavailable):  # it is said again every few seconds
                await self._events.follow(self._followers.name, [job_id])
        body = b"".join(as_sent(job_id, event) for event in page.events)
        return Chunk(body, page.cursor, page.has_more, page.complete)


class Streams:
    """All that this process has open."""

    def __init__(self, events: EventLog, followers: Followers, most: int) -> None:
        self.followers = followers
        self.reader = SharedReader(events, followers)
        self.open = 0
        self._most = most

    @property
    def full(self) -> bool:
        return self.open >= self._most


class EventStream(StreamingResponse):
    """The answer to one reader: the job's events after number `after`, until its last, or until the process ends."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, job_id: str, tenant: str, after: int) -> None:
        self._streams = streams
        self._job_id = job_id
        self._tenant = tenant
        self._after = after
        # `X-Accel-Buffering` keeps nginx, and who follows it, from holding back what is small.
        self._body = self._chunks()
        super().__init__(self._body, headers={"X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.open += 1
        metrics.EVENT_STREAMS.set(self._streams.open)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.open -= 1
            metrics.EVENT_STREAMS.set(self._streams.open)

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._body) as chunks:
            async for chunk in chunks:
                try:
                    async with asyncio.timeout(STALLED_SECONDS):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except TimeoutError:
                    logger.warning("event_reader_stalled", job=self._job_id, effect="its connection is closed")
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        followers, reader = self._streams.followers, self._streams.reader
        yield b"retry: %d\n\n" % (1000 * backoff.spread(_AGAIN_SECONDS))
        new = True
        with followers.follow_closely(self._job_id) as news:
            while not followers.closed:
                news.clear()
                try:
                    chunk = await reader.read(self._job_id, self._tenant, self._after, new=new)
                except StoreUnavailable:
                    yield _PING
                    await _heard(news, backoff.spread(_AGAIN_SECONDS))
                    continue
                if chunk is None:
                    return
                self._after, new = chunk.cursor, False
                if chunk.body:
                    yield chunk.body
                if chunk.complete:
                    return
                while not chunk.has_more and not await _heard(news, PING_SECONDS):
                    yield _PING


async def _heard(news: asyncio.Event, seconds: float) -> bool:
    """Whether there were news in this time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
    return news.is_set()
