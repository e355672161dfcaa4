"""One connection to an MCP server: made when the worker starts, kept, and made anew when it breaks.

One task owns it (`run`) and reads what the server offers; jobs make their calls on it from tasks of their own. What a
call that brings no answer means is told apart:

- nothing was sent (`ServerAway`, or a server that does not know the session any more): it is sent once more when the
  connection is back;
- it was sent (`Unanswered`): the same, if it may run twice; else nobody can tell whether it happened.

Doubts, such as a call that took too long, are settled by reading the server's offers again: a server that tells them is
there, one that does not is connected to anew (a command: ended and started).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from mcp import Client, MCPError
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    PARSE_ERROR,
    CallToolResult,
    Implementation,
    ToolListChangedNotification,
)

from shared import backoff, clock, log
from worker.mcp.declaration import McpServer
from worker.mcp.errors import ServerAway
from worker.mcp.http_client import LOST, UNSENT
from worker.mcp.remote_tool import Offer
from worker.mcp.results import as_text
from worker.mcp.transport import transport
from worker.tools import ToolFailed, Unanswered

logger = log.get(__name__)
for _quoting in ("mcp", "client"):  # their lines quote what a server said, and so what a tool answered
    logging.getLogger(_quoting).setLevel(logging.CRITICAL + 1)

KEY_FIELD = "sluice/idempotency-key"
"""In `_meta` of each call: the same for every attempt at it."""

_BASE_SECONDS, _CAP_SECONDS = 0.5, 30.0
"""Between two attempts to connect."""
_STABLE_SECONDS = 60.0
"""A connection that has held so long has not failed at once."""
_LONGEST_WAIT = 10.0
"""Of a call for a connection that is being made anew; at most half of what the call may take."""
_MOST_PAGES = 100
_LOST_CODES = (LOST, CONNECTION_CLOSED, PARSE_ERROR)
_FORGOTTEN = (INVALID_REQUEST, "Session terminated")
"""The library's words for HTTP 404 where there was a session: the server has been started anew."""


class Connection:
    """Implements `worker.mcp.toolbox.Link`."""

    def __init__(self, server: McpServer, on_offers: Callable[[], None]) -> None:
        self._server = server
        self._on_offers = on_offers
        self._client: Client | None = None
        self._offers: tuple[Offer, ...] | None = None
        self._up = asyncio.Event()
        self._judged = asyncio.Event()
        """Not set only while nobody can say yet whether the server is away."""
        self._news = asyncio.Event()
        self._ended = self._was_up = False

    @property
    def known(self) -> Sequence[Offer] | None:
        return self._offers

    async def offers(self) -> Sequence[Offer]:
        await self._judged.wait()
        if self._offers is None or not self._up.is_set():
            raise ServerAway(self._server.name)
        return self._offers

    async def call(self, tool: str, arguments: dict[str, Any], *, key: str, repeatable: bool, seconds: float) -> str:
        """What the tool answered, as text. Raises ToolFailed, which says for the model what went wrong; of that,
        Unanswered when the call may have happened and ServerAway when it has not."""
        wait = min(_LONGEST_WAIT, seconds / 2)
        client = await self._connected(wait)
        try:
            return await self._call(client, tool, arguments, key, seconds)
        except ServerAway:
            pass
        except Unanswered:
            if not repeatable:
                raise
        return await self._call(await self._connected(wait), tool, arguments, key, seconds)

    async def _call(self, client: Client, tool: str, arguments: dict[str, Any], key: str, seconds: float) -> str:
        try:
            answer = await client.call_tool(tool, arguments, read_timeout_seconds=seconds + 1, meta={KEY_FIELD: key})
        except asyncio.CancelledError:  # it took too long, or the job was stopped
            self._news.set()
            raise
        except MCPError as error:
            raise self._what_became(client, error) from None
        except Exception as error:  # an answer that breaks the protocol
            raise Unanswered(f"The answer of the MCP server {self._server.name} cannot be read.") from error
        return _text(answer)

    def _what_became(self, client: Client, error: MCPError) -> ToolFailed:
        if (error.code, error.message) in (UNSENT, _FORGOTTEN):
            self._doubt(client)
            return ServerAway(self._server.name)
        if error.code in _LOST_CODES:
            self._doubt(client)
            return Unanswered(f"The MCP server {self._server.name} did not answer: the connection to it broke.")
        return ToolFailed(error.message)

    async def _connected(self, seconds: float) -> Client:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._up.wait()
        if self._client is None:
            raise ServerAway(self._server.name)
        return self._client

    async def run(self) -> None:
        """Connects, and again whenever that ends, until cancelled."""
        failures = 0
        while True:
            since = clock.monotonic()
            try:
                await self._keep()
                why = "ConnectionClosed"
            except Exception as error:
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError from None  # whose place was taken by what broke while it was closed
                why = _named(error)
            failures = 1 if clock.monotonic() - since > _STABLE_SECONDS else failures + 1
            self._fell(why, first=failures == 1)
            await asyncio.sleep(backoff.spread(backoff.exponential(failures, base=_BASE_SECONDS, cap=_CAP_SECONDS)))

    async def _keep(self) -> None:
        """Connects and stays so; returns or raises when that has ended."""
        self._ended = self._was_up = False
        self._news.clear()
        async with AsyncExitStack() as exits:
            async with asyncio.timeout(self._server.connect_timeout):
                client = await exits.enter_async_context(self._new_client())
                await self._read_offers(client)
            listener = asyncio.create_task(self._listen(client))
            exits.callback(listener.cancel)
            await self._news.wait()
            while not self._ended:
                self._news.clear()
                async with asyncio.timeout(self._server.connect_timeout):
                    await self._read_offers(client)
                await self._news.wait()

    def _new_client(self) -> Client:
        return Client(
            transport(self._server, on_end=self._has_ended),
            mode="auto",
            cache=None,
            read_timeout_seconds=self._server.connect_timeout,
            message_handler=self._hear,
            client_info=Implementation(name="sluice", version="1"),
        )

    async def _read_offers(self, client: Client) -> None:
        offers = tuple([offer async for offer in _offered(client)])
        if not self._up.is_set():
            logger.info("mcp_server_up", server=self._server.name, tools=len(offers))
        changed, self._offers = offers != self._offers, offers
        self._client, self._was_up = client, True
        self._up.set()
        self._judged.set()
        if changed:
            self._say_what_is_missing(offers)
            self._on_offers()

    def _say_what_is_missing(self, offers: Sequence[Offer]) -> None:
        """Names in the declaration that the server does not have; a slip of the pen hides a tool, or a rule for one."""
        there = {offer.name for offer in offers}
        missing = sorted({*self._server.tools, *(self._server.allow or ())} - there)
        if missing:
            logger.warning("mcp_tools_missing", server=self._server.name, tools=missing)

    async def _listen(self, client: Client) -> None:
        """Since 2026-07-28 a server tells of changed tools only those who ask for it; before, it told everybody."""
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    self._news.set()  # of what has changed since it was read
                    async for _ in changes:
                        self._news.set()
            except SubscriptionLost:
                self._news.set()
            except (ListenNotSupportedError, MCPError, TimeoutError):
                return
            await asyncio.sleep(_CAP_SECONDS)

    async def _hear(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._news.set()

    def _doubt(self, client: Client) -> None:
        """No call is made on it before it has told its offers again."""
        if self._client is client:
            self._client = None
            self._up.clear()
            self._judged.clear()
            self._news.set()

    def _has_ended(self) -> None:
        self._ended = True
        if self._client is not None:
            self._doubt(self._client)

    def _fell(self, why: str, *, first: bool) -> None:
        """A first fall is mended within a second: who needs the server waits for that. After others it is away."""
        self._client = None
        self._up.clear()
        if self._was_up and first:
            self._judged.clear()
        else:
            self._judged.set()
        if self._was_up or first:
            logger.warning("mcp_server_down", server=self._server.name, why=why)


async def _offered(client: Client) -> AsyncIterator[Offer]:
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield Offer(tool.name, tool.description or tool.title or "", tool.input_schema)
        cursor = page.next_cursor
        if cursor is None:
            return
    raise ValueError("a list of tools without an end")


def _text(answer: CallToolResult) -> str:
    text = as_text(answer.content, answer.structured_content)
    if answer.is_error:
        raise ToolFailed(text or "The tool failed and did not say why.")
    return text


def _named(error: Exception) -> str:
    """By its types alone: its message may hold what no log may hold."""
    if isinstance(error, ExceptionGroup):
        return ", ".join(sorted({_named(one) for one in error.exceptions}))
    return f"MCPError {error.code}" if isinstance(error, MCPError) else type(error).__name__
