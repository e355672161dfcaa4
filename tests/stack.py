"""The real processes for a test: api and workers started as children, talked to over HTTP."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import httpx2
import redis as redis_sync

from client.sluice_client import Sluice
from local.service_process import ServiceProcess
from shared import clock, keys
from tests.forked import ForkedService

GENEROUS = {
    "SLUICE_TARGETS__DEFAULT__REQUESTS_PER_MINUTE": "4000",
    "SLUICE_TARGETS__DEFAULT__INPUT_TOKENS_PER_MINUTE": "2000000",
    "SLUICE_TARGETS__DEFAULT__OUTPUT_TOKENS_PER_MINUTE": "400000",
}


class Stack:
    """One api and any number of workers over one Redis and one provider. Use as a context manager."""

    def __init__(self, redis_url: str, provider_url: str, **settings: str) -> None:
        """`settings` are environment variables, such as SLUICE_QUEUE__LEASE_SECONDS="2"."""
        self._environment = {
            "REDIS_URL": redis_url,
            "ANTHROPIC_BASE_URL": provider_url,
            "ANTHROPIC_API_KEY": "test-key",
            "SLUICE_API__PORT": "0",
            "SLUICE_WORKER__HTTP_PORT": "0",
            **GENEROUS,
            **settings,
        }
        self._exits = ExitStack()
        self.workers: list[ServiceProcess] = []
        self._announced = False

    def __enter__(self) -> Self:
        self.api = self._exits.enter_context(ForkedService("api", self._environment))
        self.http = self._exits.enter_context(httpx2.Client(base_url=self.api.url, timeout=70))
        self.client = Sluice(self.api.url, http=self.http)
        return self

    def __exit__(self, *error: object) -> None:
        self._exits.close()

    def add_worker(self, build: str = "worker", **settings: str) -> ServiceProcess:
        """`build` is the module to run: a test may have one of its own."""
        worker = self._exits.enter_context(ForkedService(build, self._environment | settings))
        self.workers.append(worker)
        return worker

    def submit(self, agent: str, job_input: Any, **fields: Any) -> str:
        """Submits, once a worker has announced its agents; the job's id."""
        deadline = clock.monotonic() + 20
        while not self._announced:
            self._announced = bool(self.client.request("GET", "/v1/agents")["data"])
            assert clock.monotonic() < deadline, "no worker has announced its agents"
        return self.client.submit(agent, job_input, **fields)["id"]

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(job_id))

    def finished(self, job_id: str, seconds: float = 30) -> dict[str, Any]:
        """The job once it has ended."""
        return dict(self.client.wait(job_id, timeout=seconds))

    def until(self, job_id: str, status: str, seconds: float = 30) -> dict[str, Any]:
        """The job as soon as it has this status."""
        deadline = clock.monotonic() + seconds
        job = self.job(job_id)
        while job["status"] != status:
            assert clock.monotonic() < deadline, f"{job_id} was never {status}: {job}"
            job = self.client.request("GET", f"/v1/jobs/{job_id}", query={"wait": 1})  # its next change
        return job

    def results(self, job_id: str) -> list[dict[str, Any]]:
        """The tool results in the job's journal, oldest first."""
        with redis_sync.Redis.from_url(self._environment["REDIS_URL"], decode_responses=True) as redis:
            records = [json.loads(line) for line in redis.lrange(keys.turns(job_id), 0, -1)]
        return [record for record in records if record["kind"] == "result"]

    def asked(self, job_id: str, seconds: float = 30) -> list[dict[str, Any]]:
        """What the job asks, as soon as it waits for a person."""
        actions: list[dict[str, Any]] = self.until(job_id, "requires_action", seconds)["required_actions"]
        return actions

    def decide(self, action: dict[str, Any], decision: str, **fields: Any) -> dict[str, Any]:
        """The action as it is decided."""
        answer = self.http.post(action["links"]["decide"], json={"decision": decision, **fields})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@contextmanager
def stack(redis_url: str, provider_url: str, workers: int = 1, **settings: str) -> Iterator[Stack]:
    """An api with so many workers."""
    with Stack(redis_url, provider_url, **settings) as running:
        for _ in range(workers):
            running.add_worker()
        yield running
