"""How a job looks from outside: from the record to the resource of the contract."""

import math
from typing import Any

from api.action_schemas import action_resource
from shared.clock import rfc3339
from shared.inspector import Sighting
from shared.job import Job
from shared.turn import ServedAs
from shared.usage import dollars


def job_resource(sighting: Sighting, estimate_nano: int | None) -> dict[str, Any]:
    """The job as `api.schemas.JobResource` describes it; `estimate_nano` is what it is likely to cost, if known."""
    job = sighting.job
    spec, budget, here = job.spec, job.spec.budget, f"/v1/jobs/{job.id}"
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
        "expires_at": rfc3339(job.expires_ms),
        "deadline_at": rfc3339(spec.schedule.deadline_ms),
        "priority": spec.priority,
        "session_id": spec.session_id,
        "forked_from": _origin(job),
        "input": spec.input,
        "output": job.output,
        "error": _error(job),
        "incomplete_details": _incomplete(job),
        "required_actions": [action_resource(action) for action in job.actions],
        "usage": job.usage.as_json(),
        "estimated_cost_usd": None if estimate_nano is None else dollars(estimate_nano),
        "budget": {
            "max_turns": budget.max_turns,
            "max_tokens": budget.max_tokens,
            "max_cost_usd": None if budget.max_cost_nano is None else dollars(budget.max_cost_nano),
            "max_seconds": budget.max_seconds,
        },
        "model": {"requested": spec.chain, "served": job.served} | _served_as(job),
        "queue": _place(sighting),
        "attempt": job.attempt,
        "metadata": spec.metadata,
        "revision": job.revision,
        "links": {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel"},
    }


def weak_tag(revision: int) -> str:
    """The ETag of a job. Weak: two answers of one revision may differ in the place in the queue."""
    return f'W/"{revision}"'


def matches(if_none_match: str | None, revision: int) -> bool:
    """Weak comparison (RFC 9110 §13.1.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or f'"{revision}"' in tags


def seconds_until_worth_asking(sighting: Sighting) -> int:
    """A `Retry-After` for somebody who polls: when the job may have started, 1 to 60."""
    start_ms = _start_ms(sighting)
    wait = 1 if start_ms is None else (start_ms - sighting.pace.now_ms) / 1000
    return max(1, min(60, math.ceil(wait)))


def _start_ms(sighting: Sighting) -> int | None:
    """When a waiting job is likely to start; None for one that does not wait, or while nothing is known of that."""
    place, pace = sighting.place, sighting.pace
    wait = place.wait_seconds(pace) if place else None
    if sighting.job.next_attempt_ms is not None:
        return max(sighting.job.next_attempt_ms, pace.now_ms)
    return None if wait is None else pace.now_ms + int(wait * 1000)


def _served_as(job: Job) -> dict[str, bool]:
    return {"fallback": job.served_as == ServedAs.FALLBACK, "drill": job.served_as == ServedAs.DRILL}


def _origin(job: Job) -> dict[str, Any] | None:
    origin = job.spec.forked_from
    return {"job_id": origin.job_id, "turn": origin.turn} if origin else None


def _error(job: Job) -> dict[str, Any] | None:
    if job.error is None:
        return None
    error = job.error
    return {"type": error.type, "code": error.code, "message": error.message, "retryable": error.retryable}


def _incomplete(job: Job) -> dict[str, Any] | None:
    return {"reason": job.incomplete, "message": job.incomplete_message} if job.incomplete else None


def _place(sighting: Sighting) -> dict[str, Any] | None:
    if sighting.place is None:
        return None
    return {
        "position": sighting.place.ahead + 1,
        "depth": sighting.pace.waiting,
        "estimated_start_at": rfc3339(_start_ms(sighting)),
    }
