"""The one-machine stack: a private Redis, the simulated provider where it is wanted, one api and some workers."""

import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from local import environment
from local.interrupt import Interrupt
from local.provider_process import ProviderError, ProviderProcess
from local.redis_server import RedisServer, RedisServerError
from local.service_process import LogLine, ServiceError, ServiceProcess
from shared import keys
from shared.sections import Target

_HURRIED_SECONDS = 5.0

OnLog = Callable[[str, LogLine], None]
"""Hears who logged what, such as `worker 1`; called from threads."""


class StackError(Exception):
    """A part did not start or did not stay up; the message is for whoever started the stack."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start."""

    targets: Mapping[str, Target] = field(default_factory=lambda: {"default": Target()})
    live: bool = False
    """The real providers of the targets; else all of them are played by the simulated one."""
    provider_flags: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    """Settings of the user's, as environment variables."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings that count above those."""
    agents: tuple[str, ...] = ()
    """Modules with agents, besides the examples."""
    workers: int = 2
    data_folder: Path | None = None
    """Where jobs are kept; None forgets them at the end."""


class LocalStack:
    """`start`, use, `stop`. The parts run in sessions of their own and end when this process does."""

    def __init__(self, plan: Plan, on_log: OnLog = lambda who, line: None) -> None:
        self._plan = plan
        self._on_log = on_log
        self._pool = ThreadPoolExecutor(max_workers=plan.workers + 2)
        self._environment: dict[str, str] = {}
        self.redis = RedisServer(plan.data_folder)
        self.provider: ProviderProcess | None = None
        self.api: ServiceProcess | None = None
        self.workers: dict[str, ServiceProcess] = {}
        """By name, such as `worker 1`."""

    def start(self, interrupt: Interrupt) -> None:
        """Returns when all parts accept connections. Raises StackError, or Interrupted at a signal."""
        plan = self._plan
        try:
            self.redis.start()
        except RedisServerError as error:
            raise StackError(f"Redis did not start: {error}") from error
        with redis.Redis.from_url(self.redis.url) as store:
            store.delete(keys.AGENTS)  # what earlier workers of this data folder ran is no longer true
        given = dict(plan.given)
        if not plan.live:
            self.provider = ProviderProcess(*plan.provider_flags)
            self._finish([self._pool.submit(self.provider.start)], interrupt)
            given = environment.simulated(given, plan.targets, self.provider.url)
        self._environment = environment.placed(given, self.redis.url, plan.agents, **plan.settings)
        self.api = self._service("api", "api")
        self.workers = {name: self._service("worker", name) for name in self._names()}
        self._finish([self._pool.submit(part.start) for part in (self.api, *self.workers.values())], interrupt)

    @property
    def api_url(self) -> str:
        return self.api.url if self.api else ""

    def died(self) -> Iterator[str]:
        """Names of the parts that have ended without being asked to."""
        if not self.redis.is_running:
            yield "redis"
        if self.provider and not _accepts(self.provider.url):
            yield "provider"
        if self.api and not self.api.is_running:
            yield "api"
        yield from (name for name, worker in self.workers.items() if not worker.is_running)

    def obituary(self, name: str) -> str:
        """How a part ended, and what it said last when that was its own doing."""
        part = self.api if name == "api" else self.workers.get(name)
        if name == "redis":
            return f"{name} ended:\n{self.redis.log_tail()}"
        code = part.wait(0) if part else None
        if part is None or code is None:
            return f"{name} ended."
        if code < 0:
            return f"{name} was ended by {signal.Signals(-code).name}."
        return f"{name} ended with status {code}:\n{part.last_words()}"

    def check(self) -> None:
        """Raises StackError when what is left cannot run a job."""
        dead = list(self.died())
        if any(name not in self.workers for name in dead) or len(dead) == len(self.workers):
            raise StackError(self.obituary(dead[0]))

    def restart(self, name: str) -> ServiceProcess:
        """A new worker in the place of a dead one. Raises StackError."""
        self.workers[name].kill()
        self.workers[name] = self._service("worker", name)
        try:
            return self.workers[name].start()
        except ServiceError as error:
            raise StackError(str(error)) from error

    def drain(self, interrupt: Interrupt) -> None:
        """Workers end their turns, however long that takes; a further signal makes them give their jobs back now."""
        seen = interrupt.count
        self._tell_workers()
        while interrupt.count == seen and any(worker.is_running for worker in self.workers.values()):
            interrupt.sleep(0.2)
        self.hurry()

    def hurry(self) -> None:
        """Ends the workers without waiting for turns: what they were doing goes back to the queue."""
        for _ in range(2):
            self._tell_workers()
            time.sleep(0.05)  # two signals at once would be one
        for worker in self.workers.values():
            if worker.wait(_HURRIED_SECONDS) is None:
                worker.kill()

    def stop(self) -> None:
        """Ends everything that has been started, at once; `drain` before is the gentle way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._stop_parts()
        self._pool.shutdown(wait=True)
        self._stop_parts()  # what was starting just then
        self.redis.close()

    def _stop_parts(self) -> None:
        if self.api:
            self.api.signal(signal.SIGTERM)  # it ends meanwhile
        self.hurry()
        for worker in self.workers.values():
            worker.stop()
        if self.api:
            self.api.stop()
        if self.provider:
            self.provider.stop()

    def _tell_workers(self) -> None:
        for worker in self.workers.values():
            worker.signal(signal.SIGTERM)

    def _service(self, part: Any, name: str) -> ServiceProcess:
        return ServiceProcess(part, self._environment, on_log=lambda line: self._on_log(name, line))

    def _names(self) -> list[str]:
        return [f"worker {number}" for number in range(1, self._plan.workers + 1)]

    def _finish(self, starting: list[Future[Any]], interrupt: Interrupt) -> None:
        while not all(each.done() for each in starting):
            interrupt.check()
            if any(each.done() and each.exception() for each in starting):
                break
            interrupt.sleep(0.05)
        interrupt.check()
        for each in starting:
            if each.done() and (error := each.exception()):
                if isinstance(error, ServiceError | ProviderError):
                    raise StackError(str(error)) from error
                raise error


def free_or_any(port: int) -> int:
    """The port if nobody has it, else 0, which is any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    return 0


def _accepts(url: str) -> bool:
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=5):
            return True
    except OSError:
        return False
