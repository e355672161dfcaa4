"""What the tests of the api share: clients, checks of its answers, and a stand-in for the worker."""

import hashlib
import ssl
from typing import Any

import httpx2

from api.problems import Code
from api.schemas import JobResource
from local.service_process import LogLine
from shared import ids, keys
from shared.action import Asked
from shared.actions import Actions
from shared.catalogue import AgentEntry, Catalogue
from shared.job import Job, JobSpec
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event, Status
from shared.submission import Accepted, Caps
from tests.shared.queueing import claim

# No proxies, and a TLS context without the certificates that nothing here needs: loading them takes 50 ms.
QUICK_CLIENT: dict[str, Any] = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "timeout": 30}
FRUGAL = {"max_turns": 5, "max_tokens": 1000, "max_cost_usd": "0.50", "max_seconds": 60}
WORK = {"agent": "assistant", "input": "What is a job queue?"}


def client(url: str, **options: Any) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=100)
    return httpx2.AsyncClient(base_url=url, limits=limits, **QUICK_CLIENT, **options)


async def announce(redis: Redis) -> None:
    """What a worker does at its start. `assistant` has no limits on tokens and money, `frugal` has all."""
    generous = {"max_turns": 20, "max_tokens": None, "max_cost_usd": None, "max_seconds": 3600}
    tools = [{"name": "clock", "description": "The time."}]
    await Catalogue(redis).announce(
        [
            AgentEntry("assistant", "1", "Answers.", "default", tools, generous),
            AgentEntry("frugal", "2", "Saves.", "default", [], FRUGAL),
        ]
    )


def job_of(answer: httpx2.Response, *statuses: int) -> dict[str, Any]:
    """The job in an answer, which is all that the contract says and nothing else."""
    assert answer.status_code in (statuses or (200,)), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'W/"{body["revision"]}"'
    check_job(body)
    return body


def check_job(body: dict[str, Any]) -> None:
    assert JobResource.model_validate(body).model_dump(mode="json") == body


def settled(job: dict[str, Any]) -> dict[str, Any]:
    """The job without what changes by the mere passing of time."""
    return job | {"queue": None if job["queue"] is None else job["queue"] | {"estimated_start_at": None}}


def problem(answer: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document in an answer, checked for everything that all of them have."""
    assert answer.status_code == status, answer.text[:1000]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert set(body) - {"errors"} == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
        "request_id",
        "retryable",
    }
    assert body["code"] in set(Code)
    assert code is None or body["code"] == code
    assert body["type"] == f"urn:sluice:problem:{body['code']}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["retryable"] is (status in (429, 500, 503))
    for error in body.get("errors", []):
        assert set(error) == {"pointer", "detail"}
    return body


def pointers(body: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in body.get("errors", [])}


def tracebacks(log: list[LogLine]) -> list[LogLine]:
    """Lines that no request, however strange, may cause."""
    bad = ("Traceback", "Exception in ", "was never retrieved")
    return [
        line
        for line in log
        if line.get("level") in ("error", "critical") or "exception" in line or any(word in str(line) for word in bad)
    ]


async def waiting(redis: Redis) -> int:
    """How many unfinished jobs there are."""
    counts = await redis.hgetall(keys.COUNTS)
    return sum(int(number) for field, number in counts.items() if field.startswith(":"))


async def keys_like(redis: Redis, pattern: str) -> list[str]:
    return [key async for key in redis.scan_iter(match=pattern, count=1000)]


async def reach(http: httpx2.AsyncClient) -> None:
    """What was sent before has arrived, and waits, when all these are answered: they take the same way, in turn."""
    for _ in range(20):
        await http.get("/v1/jobs?limit=1")


def digest(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


class StandIn:
    """Moves jobs as a worker would, one step at a time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue = Queue(redis, retention_ms=3_600_000)

    async def add(self, **fields: Any) -> str:
        """A job that came in earlier; `fields` are those of JobSpec."""
        spec = JobSpec(**({"tenant": "default", "agent": "assistant", "input": "x", "chain": "default"} | fields))
        answer = await self._queue.submit(ids.new_job_id(), spec, caps=Caps(max_depth=1_000_000))
        assert isinstance(answer, Accepted)
        return answer.job_id

    async def paced(self, *, slots: int, busy_seconds: float) -> None:
        """From now on, as if workers with so many slots had run jobs that took so long."""
        now_ms = (await self._redis.time())[0] * 1000
        measured = {"busy_ms": busy_seconds * 1000, "ended": 10, "slots": slots, "summed_ms": now_ms}
        await self._redis.hset(keys.PACE, mapping=measured)
        await self._redis.expire(keys.PACE, 3600)

    async def take(self, count: int = 1) -> list[Job]:
        return (await claim(self._queue, "stand-in", count)).jobs

    async def finish(self, job_id: str, output: str = "Done.", event: Event = Event.SUCCEED) -> Status:
        return await self._queue.finish("stand-in", job_id, Conclusion(event, output))

    async def ask(self, job: Job, *questions: Asked, wait_ms: int = 3_600_000) -> Status:
        return await Actions(self._redis).ask("stand-in", job, questions, wait_ms=wait_ms, retention_ms=3_600_000)

    async def run(self, output: str = "Done.") -> str:
        """Takes the next job and ends it well; its id."""
        (job,) = await self.take()
        await self.finish(job.id, output)
        return job.id
