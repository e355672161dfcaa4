"""Agents: what a job can ask for. All that an agent's author needs is in `__all__`."""

from worker.agents.agent import Agent, Budget, Retry
from worker.tools import Tool, ToolContext, tool

__all__ = ["Agent", "Budget", "Retry", "Tool", "ToolContext", "tool"]
