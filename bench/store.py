"""The Redis or Valkey of one measurement, and what a contender makes it do. The same binary serves all of them."""

import shutil
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Work:
    """Of a server. `commands` are counted inside of scripts as well; `requests` are what was read from clients, where
    a call of a script is one, and so is a pipeline."""

    commands: int
    requests: int
    cpu_seconds: float

    def since(self, before: "Work") -> "Work":
        return Work(
            self.commands - before.commands,
            self.requests - before.requests,
            self.cpu_seconds - before.cpu_seconds,
        )


class Store:
    """A server of its own on a port from the kernel: nothing is ever flushed, and nobody else is disturbed."""

    def __init__(self) -> None:
        self._server = RedisServer(binary=server_binary()).start()
        self.url = self._server.url
        self._client = redis.Redis.from_url(self.url, socket_timeout=_ANSWER_SECONDS)
        self._looks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._server.close()

    def work(self) -> "Work":
        """What it has done since its start."""
        stats = self._info("commandstats")
        calls = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
        self._looks += 2
        return Work(
            commands=sum(count for name, count in calls.items() if name not in _OURS),
            requests=int(self._info("stats")["total_reads_processed"]) - self._looks,
            cpu_seconds=cpu_seconds(self._server.pid),
        )

    def keep_on_disk(self) -> None:
        """From now on every write goes to an append-only file (fsync each second)."""
        self._client.config_set("appendonly", "yes")

    def used_kb(self) -> float:
        return float(self._info("memory")["used_memory"]) / 1024

    def connections(self) -> int:
        return int(self._info("clients")["connected_clients"]) - 1

    def _info(self, section: str) -> dict[str, Any]:
        return cast(dict[str, Any], self._client.info(section))
