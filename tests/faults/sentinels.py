"""A Redis that is watched: a master, its replica, and three sentinels that put the replica in the master's place."""

import contextlib
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis as redis_sync

from local.guard import Guard
from local.redis_server import RedisServer, find_binary
from tests.waiting import until

SERVICE = "sluice"
_HOST = "127.0.0.1"
_SENTINELS = 3
_QUORUM = 2
_DOWN_AFTER_MS = 1000
_FAILOVER_TIMEOUT_MS = 6000


class _Sentinel:
    """One sentinel process; it rewrites its configuration file itself."""

    def __init__(self, folder: Path, master_port: int) -> None:
        self.port = _free_port()
        folder.mkdir()
        configuration = folder / "sentinel.conf"
        configuration.write_text(
            f"bind {_HOST}\nport {self.port}\ndir {folder}\n"
            f"sentinel monitor {SERVICE} {_HOST} {master_port} {_QUORUM}\n"
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} {_FAILOVER_TIMEOUT_MS}\n"
        )
        with (folder / "sentinel.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(find_binary()), str(configuration), "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = Guard(self._process.pid)

    def ask(self, *words: str) -> Any:
        with redis_sync.Redis(host=_HOST, port=self.port, decode_responses=True, socket_timeout=2) as client:
            return client.execute_command("SENTINEL", *words, SERVICE)

    def sees_everybody(self) -> bool:
        with contextlib.suppress(redis_sync.RedisError):
            others, replicas = self.ask("SENTINELS"), self.ask("REPLICAS")
            return len(others) == _SENTINELS - 1 and len(replicas) == 1 and bool(self.ask("CKQUORUM"))
        return False

    def stop(self) -> None:
        self._guard.end()
        self._process.kill()
        self._process.wait()


class WatchedRedis:
    """`with WatchedRedis() as redis: ...`, then `await redis.ready()`. It all ends with the block."""

    def __init__(self) -> None:
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with self._exits:
            folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="sluice-sentinel-")))
            at_once = {"repl-diskless-sync-delay": "0"}
            self.master = self._exits.enter_context(RedisServer(options=at_once))
            follow = {"replicaof": f"{_HOST} {self.master.port}"}
            self.replica = self._exits.enter_context(RedisServer(options=at_once | follow))
            self._sentinels = [_Sentinel(folder / str(number), self.master.port) for number in range(_SENTINELS)]
            for sentinel in self._sentinels:
                self._exits.callback(sentinel.stop)
            self._exits = self._exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    @property
    def url(self) -> str:
        hosts = ",".join(f"{_HOST}:{sentinel.port}" for sentinel in self._sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    async def ready(self) -> None:
        """Returns when every sentinel sees the others and the replica, so that a failover can succeed."""
        await until(lambda: all(sentinel.sees_everybody() for sentinel in self._sentinels))
        self.replicated()

    def replicated(self) -> None:
        """Returns when the replica has all that was written before: what a failover then loses was never answered."""
        with redis_sync.Redis.from_url(self.master.url) as client:
            client.set("sluice-test:written", 1, ex=60)
            assert client.execute_command("WAIT", 1, 20_000) == 1, "the replica does not follow"

    def all_agree_on(self, server: RedisServer) -> bool:
        """Whether every sentinel says that this is the master."""
        named = [int(sentinel.ask("GET-MASTER-ADDR-BY-NAME")[1]) for sentinel in self._sentinels]
        return set(named) == {server.port}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
