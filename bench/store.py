"""The Redis or Valkey of one measurement, and what a contender makes it do. The same binary serves all of them."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import redis

from bench.process_tree import cpu_seconds
from local.redis_server import RedisServer, find_binary

_OURS = frozenset({"info", "client|setinfo", "client|setname", "config|get", "hello", "command|docs", "ping"})
"""Commands that the bench itself or a client's greeting sends; not counted."""
_ANSWER_SECONDS = 30


def server_binary() -> Path:
    """`redis-server` where it is on the PATH, as most users run it; else the Valkey of the tests."""
    found = shutil.which("redis-server")
    return Path(found) if found else find_binary()


class Store:
    """A server of its own on a port from the kernel: nothing is ever flushed, and nobody else is disturbed."""

    def __init__(self) -> None:
        self._server = RedisServer(binary=server_binary()).start()
        self.url = self._server.url
        self._client = redis.Redis.from_url(self.url, socket_timeout=_ANSWER_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._server.close()

    def commands(self) -> dict[str, int]:
        """How often each command was called since the start, those inside of scripts as well."""
        stats = self._info("commandstats")
        counts = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
        return {name: calls for name, calls in counts.items() if name not in _OURS}

    def used_kb(self) -> float:
        return float(self._info("memory")["used_memory"]) / 1024

    def connections(self) -> int:
        return int(self._info("clients")["connected_clients"]) - 1

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._server.pid)

    def _info(self, section: str) -> dict[str, Any]:
        return cast(dict[str, Any], self._client.info(section))
