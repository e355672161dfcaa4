"""A tool of an MCP server, as the agent loop knows tools: its name, its rules, and how it is called."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from pydantic import BaseModel

from worker.mcp.declaration import McpServer
from worker.tools import Tool, ToolContext

LONGEST_NAME = 64
"""What every model of the Messages API takes."""
_STRANGE = re.compile(r"[^a-zA-Z0-9_-]")
_DIGEST = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool as its server tells of it."""

    name: str
    description: str
    input_schema: dict[str, Any]


class Caller(Protocol):
    """What makes the calls: `worker.mcp.connection.Connection`."""

    async def call(
        self, tool: str, arguments: dict[str, Any], *, key: str, repeatable: bool, seconds: float
    ) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTool(Tool):
    """What it takes is for its server to say and to check, so what the model gives goes there as it is."""

    function: Callable[[dict[str, Any], ToolContext], Awaitable[str]]
    input_schema: dict[str, Any]
    parameters: type[BaseModel] = field(default=BaseModel, init=False)
    takes_context: bool = field(default=True, init=False)
    is_async: bool = field(default=True, init=False)

    def schema(self) -> dict[str, Any]:
        return {"name": self.name, "description": self.description, "input_schema": self.input_schema}

    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        return dict(given)

    def bound(self, arguments: dict[str, Any], context: ToolContext) -> Callable[[], Awaitable[str]]:
        return partial(self.function, arguments, context)


def tool_name(server: str, tool: str) -> str:
    """`files__read_file`: characters that a name may not have become _, and one that is too long ends in a digest."""
    name = f"{server}__{_STRANGE.sub('_', tool)}"
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(tool.encode()).hexdigest()[:_DIGEST]
    return f"{name[: LONGEST_NAME - _DIGEST - 1]}_{digest}"


def remote_tools(server: McpServer, offers: Sequence[Offer], caller: Caller) -> list[RemoteTool]:
    """The tools that the agent may use of those that the server offers."""
    return [_remote_tool(server, offer, caller) for offer in offers if server.shows(offer.name)]


def _remote_tool(server: McpServer, offer: Offer, caller: Caller) -> RemoteTool:
    rules = server.rules(offer.name)

    async def call(arguments: dict[str, Any], context: ToolContext) -> str:
        return await caller.call(
            offer.name,
            arguments,
            key=context.idempotency_key,
            repeatable=rules.effect.repeatable,
            seconds=rules.timeout,
        )

    return RemoteTool(
        name=tool_name(server.name, offer.name),
        description=offer.description,
        input_schema={"type": "object"} | offer.input_schema,
        function=call,
        effect=rules.effect,
        approval=rules.approval,
        timeout=rules.timeout,
    )
