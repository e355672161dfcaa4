"""The processes of a run and the links between them: each worker and the api reach Redis over a link of their own."""

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from local.link import Link
from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from local.service_process import LogLine, ServiceProcess
from tests.faults.chaos.errands import settings_file
from tests.faults.chaos.plan import API, FRONT, PROVIDER, REDIS, worker_names
from tests.forked import ForkedService

_PLENTY = "60000"
_DRAIN_SECONDS = 60.0
_PROVIDER_FLAGS = (
    *("--requests-per-minute", _PLENTY, "--input-tokens-per-minute", "60000000"),
    *("--output-tokens-per-minute", "60000000", "--tokens-per-second", "4000"),
)


@dataclass(slots=True)
class Member:
    """One process that ran, with what was done to it."""

    name: str
    """Such as `worker 2.3`, the third one in its place."""
    process: ServiceProcess
    killed: bool = False
    drained: bool = False
    hurried_at: int | None = None
    """How many lines it had logged when the second SIGTERM came."""
    exit_code: int | None = None

    @property
    def log(self) -> list[LogLine]:
        return self.process.log

    def drain(self) -> None:
        self.drained = True
        self.process.signal(signal.SIGTERM)

    def hurry(self) -> None:
        self.hurried_at = len(self.log)
        self.process.signal(signal.SIGTERM)

    def freeze(self) -> None:
        self.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.killed = True
        self.process.kill()

    def await_end(self, seconds: float = _DRAIN_SECONDS) -> None:
        self.exit_code = self.process.wait(seconds)


class Fleet:
    """`with Fleet(workers=4, lease_seconds=5) as fleet: ...`: Redis, provider, api and workers, up and connected."""

    def __init__(self, *, workers: int, lease_seconds: float) -> None:
        self._exits = ExitStack()
        self._names = worker_names(workers)
        self._lease_seconds = lease_seconds
        self.locks = {name: threading.Lock() for name in (*self._names, API, FRONT, REDIS, PROVIDER)}
        """Whoever breaks a part holds its lock until it is whole again."""
        self.current: dict[str, Member] = {}
        """The worker in each place, and the api."""
        self.members: list[Member] = []
        """All that ever ran."""
        self.links: dict[str, Link] = {}

    def __enter__(self) -> Self:
        with self._exits:
            self._start()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._exits.close()

    @property
    def url(self) -> str:
        """Where clients find the api."""
        return f"http://127.0.0.1:{self.links[FRONT].port}"

    def replace(self, name: str) -> None:
        """Starts a new worker, or the api, in this place. What was there before has been told to go."""
        part: Literal["api", "worker"] = "api" if name == API else "worker"
        environment = self._environment | {"REDIS_URL": f"redis://127.0.0.1:{self.links[name].port}/0"}
        if name == API and name in self.current:
            environment["SLUICE_API__PORT"] = self.current[name].process.url.rpartition(":")[2]
        incarnation = 1 + sum(member.name.startswith(f"{name}.") for member in self.members)
        member = Member(f"{name}.{incarnation}", self._exits.enter_context(ForkedService(part, environment)))
        self.members.append(member)
        self.current[name] = member

    def drain_all(self) -> None:
        """The end: every worker, then the api, is asked to go, and has its exit code noted."""
        for name in [*self._names, API]:
            self.current[name].drain()
        for member in self.members:
            if member.drained and member.exit_code is None:
                member.await_end()

    def _start(self) -> None:
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="sluice-chaos-")))
        config = folder / "sluice.toml"
        config.write_text(settings_file())
        self.redis = self._exits.enter_context(RedisServer(folder / "redis", options={"appendfsync": "always"}))
        self.marks = self._exits.enter_context(RedisServer())
        self.provider = self._exits.enter_context(ProviderProcess(*_PROVIDER_FLAGS))
        self._environment = dict(self._settings(str(config)))
        for name in (*self._names, API):
            self.links[name] = self._exits.enter_context(Link(self.redis.port))
        self.replace(API)
        api_port = int(self.current[API].process.url.rpartition(":")[2])
        self.links[FRONT] = self._exits.enter_context(Link(api_port))
        for name in self._names:
            self.replace(name)

    def _settings(self, config: str) -> Iterator[tuple[str, Any]]:
        yield "SLUICE_CONFIG", config
        yield "SLUICE_QUEUE__LEASE_SECONDS", str(self._lease_seconds)
        yield "SLUICE_WORKER__AGENTS", '["tests.agents.chores"]'
        yield "SLUICE_API__PORT", "0"
        yield "SLUICE_WORKER__HTTP_PORT", "0"
        yield "ANTHROPIC_BASE_URL", self.provider.url
        yield "ANTHROPIC_API_KEY", "test-key"
        yield "EFFECTS_URL", self.marks.url
        yield "SLUICE_TARGETS__DEFAULT__REQUESTS_PER_MINUTE", _PLENTY
        yield "SLUICE_TARGETS__DEFAULT__INPUT_TOKENS_PER_MINUTE", "60000000"
        yield "SLUICE_TARGETS__DEFAULT__OUTPUT_TOKENS_PER_MINUTE", "60000000"
        yield "SLUICE_TARGETS__DEFAULT__MAX_IN_FLIGHT", "200"
