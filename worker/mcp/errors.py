"""What can be wrong with an MCP server, for those who wait for it."""

from worker.tools import ToolFailed


class ServerAway(ToolFailed):
    """Nothing was sent to it. A job that needs its tools waits for it; a call waits a little and is told so."""

    def __init__(self, server: str) -> None:
        super().__init__(f"The MCP server {server} is away; the call was not made.")
        self.server = server
