"""Tools of MCP servers (docs/mcp.md). Only `connection.py` needs the package `mcp`, which is an optional extra."""
