"""Admission: whether a job may come in, and what to tell whoever has to come back later."""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from api.directory import AgentDirectory
from api.problems import Code, FieldError, Problem, invalid
from api.schemas import JobRequest
from shared import backoff, ids, metrics
from shared.catalogue import AgentEntry
from shared.inspector import QueueState, Sighting
from shared.job import Budget, Job, JobSpec, Priority
from shared.queue import Accepted, FullBecause, KeyConflict, Queue, QueueFull, Replayed
from shared.sections import QueueSettings
from shared.usage import NANO

_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,255}\Z")
_UNKNOWN_RATE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A new job."""

    sighting: Sighting


@dataclass(frozen=True, slots=True)
class Repeated:
    """The job that this Idempotency-Key made before."""

    job_id: str


class Admission:
    def __init__(self, queue: Queue, directory: AgentDirectory, settings: QueueSettings) -> None:
        self._queue = queue
        self._directory = directory
        self._settings = settings

    async def submit(
        self,
        request: JobRequest,
        body: Any,
        *,
        tenant: str,
        idempotency_key: str | None,
        traceparent: str | None,
    ) -> Admitted | Repeated:
        """Takes the job, or raises the Problem that says why not. `body` is the parsed body as it was sent."""
        if idempotency_key is not None and not _KEY.match(idempotency_key):
            raise invalid(FieldError(pointer="Idempotency-Key", detail="use 1 to 255 letters, digits and _ . : -"))
        agent = await self._directory.find(request.agent)
        spec = _spec(request, body, agent, tenant, traceparent)
        job_id = ids.new_job_id()
        answer = await self._queue.submit(
            job_id,
            spec,
            max_depth=self._settings.max_depth,
            max_wait_seconds=self._settings.max_wait_seconds,
            idempotency_key=idempotency_key,
            fingerprint=_fingerprint(body),
        )
        metrics.SUBMITS.labels(agent.name, type(answer).__name__.lower()).inc()
        match answer:
            case Accepted():
                queue = QueueState(answer.waiting, 0, answer.drain_rate, answer.created_ms)
                return Admitted(Sighting(Job.new(job_id, spec, answer.created_ms), answer.ahead, queue))
            case Replayed():
                return Repeated(answer.job_id)
            case KeyConflict():
                raise Problem(
                    Code.IDEMPOTENCY_CONFLICT,
                    f"This Idempotency-Key has made {answer.job_id} from another body; use a new key for a new job.",
                    errors=[FieldError(pointer="Idempotency-Key", detail="was used with another body")],
                )
            case QueueFull():
                raise self._full(answer)

    def _full(self, answer: QueueFull) -> Problem:
        seconds = retry_after(answer.waiting, answer.drain_rate)
        long = f"A new job would wait for more than {self._settings.max_wait_seconds:g} seconds"
        reason = long if answer.because is FullBecause.WAIT else f"{answer.waiting} jobs are waiting already"
        return Problem(
            Code.QUEUE_FULL,
            f"{reason}; try again in {seconds} seconds.",
            headers={"Retry-After": str(seconds)} | self.rate_limit_headers(answer.waiting, seconds),
        )

    def rate_limit_headers(self, waiting: int, seconds: int) -> dict[str, str]:
        """`RateLimit` fields (draft-ietf-httpapi-ratelimit-headers): places in the queue, and when to look again."""
        depth = self._settings.max_depth
        return {
            "RateLimit-Policy": f'"queue";q={depth}',
            "RateLimit": f'"queue";r={max(0, depth - waiting)};t={seconds}',
        }


def retry_after(ahead: int, drain_rate: float) -> int:
    """Seconds until what is ahead has drained at the measured rate, jittered so that not all return at once: 1–300."""
    seconds = ahead / drain_rate if drain_rate > 0 else _UNKNOWN_RATE_SECONDS
    return max(1, min(300, math.ceil(backoff.spread(min(seconds, 300)))))


def _spec(request: JobRequest, body: Any, agent: AgentEntry, tenant: str, traceparent: str | None) -> JobSpec:
    return JobSpec(
        tenant=tenant,
        agent=agent.name,
        input=body["input"],
        chain=agent.chain,
        budget=_budget(request, agent),
        priority=Priority(request.priority),
        session_id=request.session_id,
        metadata=request.metadata,
        traceparent=traceparent,
    )


def _budget(request: JobRequest, agent: AgentEntry) -> Budget:
    """The agent's limits, lowered where the caller asks for less. Raises Problem where it asks for more."""
    asked, errors, limits = request.budget.model_dump(), [], {}
    for name, limit in agent.budget.items():
        wish = asked[name]
        if wish is not None and limit is not None and Decimal(wish) > Decimal(limit):
            errors.append(FieldError(pointer=f"#/budget/{name}", detail=f"this agent allows {limit} at most"))
        limits[name] = limit if wish is None else wish
    if errors:
        raise invalid(*errors)
    cost = limits["max_cost_usd"]
    return Budget(
        max_turns=limits["max_turns"],
        max_tokens=limits["max_tokens"],
        max_cost_nano=None if cost is None else int(Decimal(cost) * NANO),
        max_seconds=limits["max_seconds"],
    )


def _fingerprint(body: Any) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
