"""The agents of this worker: the shipped ones and those of the modules that the settings name."""

import importlib
import traceback
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from shared.errors import SettingsError
from shared.sections import Chain
from shared.settings import variables
from worker.agents.agent import Agent

SHIPPED = ("worker.agents.assistant", "worker.agents.researcher")


def load(modules: Iterable[str], chains: Mapping[str, Chain]) -> dict[str, Agent]:
    """Imports the modules and finds every `Agent` in them. Raises SettingsError with all that is wrong."""
    found: dict[str, Agent] = {}
    mistakes: list[str] = []
    for name in (*SHIPPED, *modules):
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:
            mistakes.append(
                f"worker.agents: {name} cannot be imported: {type(error).__name__}: {error}{_where(name, error)}"
            )
            continue
        agents = [value for value in vars(module).values() if isinstance(value, Agent)]
        if not agents:
            mistakes.append(f"worker.agents: {name} holds no Agent")
        for agent in agents:
            if found.setdefault(agent.name, agent) is not agent:
                mistakes.append(f"worker.agents: {name} declares {agent.name!r}, which is declared elsewhere too")
            if agent.chain not in chains:
                mistakes.append(f"agent {agent.name}: there is no chain {agent.chain!r}; there is {', '.join(chains)}")
            mistakes += _missing_for_mcp(agent)
    if mistakes:
        raise SettingsError(mistakes)
    return found


def _missing_for_mcp(agent: Agent) -> list[str]:
    """What its MCP servers need and is not there."""
    if not agent.mcp:
        return []
    missing = [
        f"agent {agent.name}: MCP server {server.name}: {mistake}"
        for server in agent.mcp
        for mistake in variables(server.variables)[1]
    ]
    if find_spec("mcp") is None:
        missing.insert(0, f"agent {agent.name} names MCP servers: install requirements-mcp.lock first (docs/mcp.md)")
    return missing


def _where(name: str, error: BaseException) -> str:
    """The last line of the author's own module; for a module that is not there, where it was looked for."""
    if isinstance(error, ModuleNotFoundError) and error.name and name.startswith(error.name):
        return f" (looked for in {Path.cwd()} and in what is installed)"
    own = name.replace(".", "/")
    lines = [line for line in traceback.extract_tb(error.__traceback__) if own in line.filename]
    return f" ({lines[-1].filename}:{lines[-1].lineno})" if lines else ""
