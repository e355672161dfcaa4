"""Agents: what a job can ask for. All that an agent's author needs is in `__all__`."""

from worker.agents.agent import Agent, Budget, Retry
from worker.agents.custom import agent
from worker.context import Context, ModelAnswer
from worker.halts import StepFailed
from worker.mcp.declaration import McpServer, McpTool
from worker.tools import Tool, ToolContext, tool

__all__ = [
    "Agent",
    "Budget",
    "Context",
    "McpServer",
    "McpTool",
    "ModelAnswer",
    "Retry",
    "StepFailed",
    "Tool",
    "ToolContext",
    "agent",
    "tool",
]
