"""clerk: an agent whose tools are those of an MCP server, `tests.mcp.server`, whose folder MARKS_PLACE names."""

import os
import sys

from worker.agents import Agent, McpServer, McpTool

_marks = McpServer(
    name="marks",
    command=[sys.executable, "-m", "tests.mcp.server", os.environ["MARKS_PLACE"], "stdio"],
    timeout=20,
    connect_timeout=20,
    tools={
        "add": McpTool(effect="read", approval="never"),
        "file.read": McpTool(effect="read", approval="never"),
        "fail": McpTool(effect="read", approval="never", timeout=5),
        "send": McpTool(effect="idempotent", approval="never"),
        "pay": McpTool(approval="never"),
    },
)

clerk = Agent(name="clerk", system="You do what tests ask.", mcp=[_marks])
