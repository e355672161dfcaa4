"""How a job looks from outside: from the record to the resource of the contract."""

import math
from typing import Any

from shared.clock import rfc3339
from shared.inspector import QueueState, Sighting
from shared.job import Job
from shared.usage import dollars


def job_resource(sighting: Sighting) -> dict[str, Any]:
    """The job as `api.schemas.JobResource` describes it."""
    job = sighting.job
    spec, budget = job.spec, job.spec.budget
    return {
        "id": job.id,
        "object": "job",
        "agent": spec.agent,
        "status": job.status,
        "wait_reason": job.wait_reason or ("capacity" if job.status == "queued" else None),
        "created_at": rfc3339(job.created_ms),
        "started_at": rfc3339(job.started_ms),
        "finished_at": rfc3339(job.finished_ms),
        "next_attempt_at": rfc3339(job.next_attempt_ms),
        "expires_at": None,
        "priority": spec.priority,
        "session_id": spec.session_id,
        "input": spec.input,
        "output": job.output,
        "error": _error(job),
        "incomplete_details": {"reason": job.incomplete} if job.incomplete else None,
        "required_actions": [],
        "usage": job.usage.as_json(),
        "budget": {
            "max_turns": budget.max_turns,
            "max_tokens": budget.max_tokens,
            "max_cost_usd": None if budget.max_cost_nano is None else dollars(budget.max_cost_nano),
            "max_seconds": budget.max_seconds,
        },
        "model": {"requested": spec.chain, "served": job.served, "fallback": False},
        "queue": _place(sighting),
        "attempt": job.attempt,
        "metadata": spec.metadata,
        "revision": job.revision,
        "links": {"self": f"/v1/jobs/{job.id}", "cancel": f"/v1/jobs/{job.id}/cancel"},
    }


def etag(job: Job) -> str:
    """Weak: two answers of one revision may differ in the place in the queue."""
    return f'W/"{job.revision}"'


def seconds_until_worth_asking(sighting: Sighting) -> int:
    """A `Retry-After` for somebody who polls: when the job may have started, 1 to 60."""
    wait = wait_seconds(sighting.ahead or 0, sighting.queue)
    return max(1, min(60, math.ceil(wait or 1)))


def wait_seconds(ahead: int, queue: QueueState) -> float | None:
    """How long it takes to drain `ahead` jobs at the measured rate; None while nothing is known of that."""
    if ahead == 0:
        return 0.0
    return ahead / queue.drain_rate if queue.drain_rate > 0 else None


def _error(job: Job) -> dict[str, Any] | None:
    if job.error is None:
        return None
    error = job.error
    return {"type": error.type, "code": error.code, "message": error.message, "retryable": error.retryable}


def _place(sighting: Sighting) -> dict[str, Any] | None:
    if sighting.ahead is None:
        return None
    wait = wait_seconds(sighting.ahead, sighting.queue)
    start = None if wait is None else rfc3339(sighting.queue.now_ms + int(wait * 1000))
    return {
        "position": sighting.ahead + 1,
        "depth": sighting.queue.waiting,
        "estimated_start_at": rfc3339(sighting.job.next_attempt_ms) or start,
    }
