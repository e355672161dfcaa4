"""Agents: what a job can ask for. `Agent`, `Budget`, `tool` and `ToolContext` are all that an agent's author needs."""

from worker.agents.agent import Agent, Budget
from worker.tools import Tool, ToolContext, tool

__all__ = ["Agent", "Budget", "Tool", "ToolContext", "tool"]
