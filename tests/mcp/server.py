"""An MCP server whose tools leave a mark in a folder, so that what really happened can be counted.

    python -m tests.mcp.server FOLDER stdio
    python -m tests.mcp.server FOLDER http PORT

The folder holds: `pids`, a line for each start · `marks`, a line `tool key idempotency-key` for each call that did
something · `release`, which those that hang wait for · `slow-start`, `garbage` or `deaf`, if it is to be started so.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations

PLACE = Path(sys.argv[1])
server = MCPServer("marks", version="1")


def _append(name: str, line: str) -> None:
    with (PLACE / name).open("a") as file:
        file.write(f"{line}\n")


def _mark(tool: str, key: str, context: Context) -> None:
    meta = context.request_context.meta or {}
    _append("marks", f"{tool} {key} {meta.get('sluice/idempotency-key', 'none')}")


async def _released() -> None:
    while not (PLACE / "release").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(name="file.read", annotations=ToolAnnotations(read_only_hint=True))
async def read(key: str, context: Context) -> str:
    """Look at something, and do not come back before it is released."""
    _mark("read", key, context)
    await _released()
    return f"{key} is there"


@server.tool()
async def pay(key: str, context: Context) -> str:
    """Pay for something, and do not come back before it is released."""
    _mark("pay", key, context)
    await _released()
    return f"{key} is paid"


@server.tool()
async def send(key: str, context: Context) -> str:
    """Send something."""
    _mark("send", key, context)
    return f"{key} is sent"


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("no such file")


@server.tool()
async def block(context: Context) -> str:
    """Stop the whole server from answering, for good."""
    _mark("block", "all", context)
    while True:
        os.read(os.pipe()[0], 1)


@server.tool()
def die(key: str, context: Context) -> str:
    """End the process in the middle of the call."""
    _mark("die", key, context)
    os._exit(3)


@server.tool(structured_output=False)
def picture() -> list[Any]:
    """A text and a picture."""
    return ["Look:", Image(data=b"\x89PNG 12345", format="png")]


@server.tool()
def long(characters: int) -> str:
    """A long text."""
    return "x" * characters


@server.tool()
def secret() -> str:
    """What is in the environment."""
    return f"{os.environ.get('MARKS_TOKEN')} {os.environ.get('ANTHROPIC_API_KEY')}"


@server.tool()
def header(context: Context) -> str:
    """Who calls."""
    return (context.headers or {}).get("authorization", "nobody")


@server.tool()
def broken() -> CallToolResult:
    """An answer that says of itself that it failed."""
    return CallToolResult(content=[TextContent(type="text", text="out of paper")], is_error=True)


@server.tool()
async def grow(name: str, context: Context) -> str:
    """Have one more tool from now on."""
    server.add_tool(lambda: "grown", name=name, description="Grown later.")
    await context.notify_tools_changed()
    return "done"


def main() -> None:
    _append("pids", str(os.getpid()))
    if (PLACE / "deaf").exists():
        asyncio.run(asyncio.sleep(1000))
    if (PLACE / "slow-start").exists():
        asyncio.run(_released())
    if (PLACE / "garbage").exists():
        for _ in range(100):
            print("Welcome! {not json", flush=True)
    if sys.argv[2] == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[3]))


if __name__ == "__main__":
    main()
