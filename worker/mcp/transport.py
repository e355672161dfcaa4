"""How a server is reached: the streams of messages to it and from it, over a command's pipes or over HTTP."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from shared.errors import SettingsError
from shared.settings import variables
from worker.mcp.declaration import McpServer
from worker.mcp.http_client import TellingClient


@asynccontextmanager
async def transport(server: McpServer, on_end: Callable[[], None]) -> AsyncIterator[tuple[Any, Any]]:
    """Starts or reaches the server. The variables that it needs are read each time, so a new secret needs no restart
    of the worker where it is in a file. Leaving it ends a command: its input is closed, and soon it is killed.

    Raises SettingsError for a variable that is missing, OSError for a command that cannot be started.
    """
    values, mistakes = variables(server.variables)
    if mistakes:
        raise SettingsError(mistakes)
    async with AsyncExitStack() as exits:
        if server.url:
            headers = {header: values[name] for header, name in server.headers_env.items()}
            http = await exits.enter_async_context(TellingClient(headers, server.connect_timeout))
            streams = streamable_http_client(server.url, http_client=http)
        else:
            program, *arguments = server.command
            streams = stdio_client(StdioServerParameters(command=program, args=arguments, env=values), sys.stderr)
        read, write = await exits.enter_async_context(streams)
        yield _Watched(read, on_end), write


class _Watched:
    """A stream that tells when it has ended: the library tells that only to calls under way."""

    def __init__(self, stream: Any, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._stream)
        except BaseException:
            self._on_end()
            raise

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)
