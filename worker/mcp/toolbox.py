"""The MCP servers of this worker's agents: one connection each, shared by all jobs, and each agent with their tools."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from shared import log
from worker.agents.agent import Agent
from worker.mcp.declaration import McpServer
from worker.mcp.remote_tool import Caller, Offer, RemoteTool, remote_tools

logger = log.get(__name__)


class Link(Caller, Protocol):
    """A connection to one server: `worker.mcp.connection.Connection`."""

    @property
    def known(self) -> Sequence[Offer] | None:
        """What the server offered last; None before it ever has."""
        ...

    async def offers(self) -> Sequence[Offer]:
        """What the server offers now. Waits while the connection is being made; raises ServerAway."""
        ...

    async def run(self) -> None: ...


class Toolbox:
    """`changed` is set whenever a server has told what it offers."""

    def __init__(self, agents: Mapping[str, Agent]) -> None:
        self.changed = asyncio.Event()
        servers = {server.address: server for agent in agents.values() for server in agent.mcp}
        self._links = {address: _link(server, self.changed) for address, server in servers.items()}

    def loops(self) -> Iterator[Coroutine[Any, Any, None]]:
        """To be run while the worker takes jobs, each in a task of its own; cancelled, it closes its connection."""
        return (link.run() for link in self._links.values())

    async def equip(self, agent: Agent) -> Agent:
        """The agent with the tools that its servers offer now. Raises ServerAway, or ValueError for two of one name."""
        if not agent.mcp:
            return agent
        links = [(server, self._links[server.address]) for server in agent.mcp]
        found = [remote_tools(server, await link.offers(), link) for server, link in links]
        return _with_tools(agent, found)

    def shown(self, agent: Agent) -> Agent:
        """The agent with the tools that its servers offered last, for the catalogue."""
        links = [(server, self._links[server.address]) for server in agent.mcp]
        found = [remote_tools(server, link.known or (), link) for server, link in links]
        try:
            return _with_tools(agent, found)
        except ValueError as error:
            logger.warning("mcp_tools_clash", agent=agent.name, error=str(error))
            return agent


def _with_tools(agent: Agent, found: Sequence[Sequence[RemoteTool]]) -> Agent:
    return replace(agent, mcp_tools=tuple(tool for tools in found for tool in tools)) if agent.mcp else agent


def _link(server: McpServer, changed: asyncio.Event) -> Link:
    """Imported only here, so that a worker without such agents needs no package for them."""
    from worker.mcp.connection import Connection

    return Connection(server, on_offers=changed.set)
