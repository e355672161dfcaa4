"""Real MCP servers, as processes, that are killed, hang and lie: `make test-mcp`."""
