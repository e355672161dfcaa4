"""The queue: every state change of a job, each one atomic script in arq's own format.

Reads are in `shared.inspector`; what the scripts promise stands in their headers (`shared/lua/job_*.lua`).
All methods raise StoreUnavailable when Redis is away, and are safe to repeat then.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from arq.jobs import serialize_job

from shared import keys, log
from shared.errors import LeaseLost
from shared.job import HEAD_START_MS, Event, IncompleteReason, Job, JobError, JobSpec, Status, WaitReason
from shared.redis_client import Redis
from shared.scripts import script

logger = log.get(__name__)

JOB_FUNCTION = "run_agent"
"""The name of the arq function that runs a job."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is in. `ahead` jobs go before it; `drain_rate` is in jobs per second, 0 when not known yet."""

    job_id: str
    ahead: int
    waiting: int
    drain_rate: float
    created_ms: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same Idempotency-Key and body made this job before."""

    job_id: str


@dataclass(frozen=True, slots=True)
class KeyConflict:
    """The Idempotency-Key belongs to another body."""

    job_id: str


class FullBecause(StrEnum):
    DEPTH = "depth"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class QueueFull:
    """Not taken."""

    because: FullBecause
    waiting: int
    drain_rate: float


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs this worker now holds, Redis TIME in ms, and in how many seconds the next job is due (None: none is)."""

    jobs: list[Job]
    now_ms: int
    next_due: float | None


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a worker's jobs: ids it lost, ids that are to be cancelled."""

    lost: list[str]
    cancelling: list[str]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How a job ends: the event, and what there is of output, error and reason."""

    event: Event
    output: str | None = None
    error: JobError | None = None
    incomplete: IncompleteReason | None = None


class Queue:
    """Moves jobs along. `retention_ms` is how long a finished job is kept."""

    def __init__(self, redis: Redis, *, retention_ms: int) -> None:
        self._redis = redis
        self._retention_ms = retention_ms

    async def submit(
        self,
        job_id: str,
        spec: JobSpec,
        *,
        max_depth: int,
        max_wait_seconds: float = 0,
        idempotency_key: str | None = None,
        fingerprint: str = "",
    ) -> Accepted | Replayed | KeyConflict | QueueFull:
        """Accepts the job, or says why not; after `Accepted` it is not lost."""
        blob = serialize_job(JOB_FUNCTION, (job_id,), {}, None, _id_time(job_id), serializer=json_bytes)
        answer = await script("job_submit")(
            self._redis,
            _QUEUE_KEYS
            | {
                "drain": keys.DRAIN,
                "arq_job": keys.ARQ_JOB + job_id,
                "tenant_jobs": keys.tenant_jobs(spec.tenant),
            },
            {
                "id": job_id,
                "spec": spec.to_json(),
                "blob": blob.decode(),
                "head_start_ms": HEAD_START_MS[spec.priority],
                "max_depth": max_depth,
                "max_wait_seconds": max_wait_seconds,
                "idempotency": keys.idempotency(spec.tenant, idempotency_key) if idempotency_key else "",
                "fingerprint": fingerprint,
            },
        )
        match answer:
            case ["accepted", accepted_id, ahead, waiting, rate, now_ms]:
                return Accepted(accepted_id, ahead, waiting, float(rate), now_ms)
            case ["replayed", prior]:
                return Replayed(prior)
            case ["conflict", prior]:
                return KeyConflict(prior)
            case ["full", reason, waiting, rate]:
                return QueueFull(FullBecause(reason), waiting, float(rate))
        raise AssertionError(answer)

    async def claim(self, owner: str, *, lease_ms: int, count: int, suspects: int) -> Claim:
        """Leases up to `count` due jobs to `owner`, at most `suspects` of them suspect.

        A job whose lease `owner` let lapse comes back too: if it still runs there, it is to be left running.
        """
        answer = await script("job_claim")(
            self._redis,
            _QUEUE_KEYS,
            {"owner": owner, "lease_ms": lease_ms, "count": count, "suspects": suspects},
        )
        due, now_ms, *rest = answer
        claimed = (_readable(job_id, record) for job_id, record in zip(rest[::2], rest[1::2], strict=True))
        return Claim([job for job in claimed if job], now_ms, None if due < 0 else due / 1000)

    async def renew(self, owner: str, job_ids: Iterable[str], *, lease_ms: int) -> Renewal:
        lost, cancelling = await script("job_renew")(
            self._redis,
            {"queue": keys.ARQ_QUEUE, "leases": keys.LEASES},
            {"owner": owner, "lease_ms": lease_ms, "ids": json.dumps(list(job_ids))},
        )
        return Renewal(lost, cancelling)

    async def finish(self, owner: str, job_id: str, conclusion: Conclusion) -> Status:
        """Ends the job. Returns what it ended as: cancelled when it was to be cancelled. Raises LeaseLost."""
        answer = await script("job_finish")(
            self._redis,
            {"queue": keys.ARQ_QUEUE, "leases": keys.LEASES, "drain": keys.DRAIN},
            {
                "id": job_id,
                "owner": owner,
                "event": conclusion.event,
                "output": conclusion.output or "",
                "error": json.dumps(asdict(conclusion.error)) if conclusion.error else "",
                "incomplete": conclusion.incomplete or "",
                "retention_ms": self._retention_ms,
            },
        )
        return _held(answer, job_id)

    async def release(self, owner: str, job_id: str, wait_reason: WaitReason, *, delay_ms: int = 0) -> Status:
        """Gives the job back, due in `delay_ms` or at its old place. Raises LeaseLost."""
        answer = await script("job_release")(
            self._redis,
            _QUEUE_KEYS | {"drain": keys.DRAIN},
            {
                "id": job_id,
                "owner": owner,
                "delay_ms": delay_ms,
                "wait_reason": wait_reason,
                "retention_ms": self._retention_ms,
            },
        )
        return _held(answer, job_id)

    async def cancel(self, job_id: str) -> Status | None:
        """Asks the job to end; returns its status now, None for a job there is not."""
        answer = await script("job_cancel")(
            self._redis,
            {"queue": keys.ARQ_QUEUE, "leases": keys.LEASES, "drain": keys.DRAIN},
            {"id": job_id, "retention_ms": self._retention_ms},
        )
        return None if answer == "unknown" else Status(answer)


_QUEUE_KEYS = {"queue": keys.ARQ_QUEUE, "leases": keys.LEASES, "wake": keys.WAKE}


def _held(answer: str, job_id: str) -> Status:
    if answer == "lost":
        raise LeaseLost(job_id)
    return Status(answer)


def _readable(job_id: str, flat: list[str]) -> Job | None:
    """A record that this version cannot read must not keep others from being run; it comes back with its lease."""
    try:
        return Job.from_hash(job_id, dict(zip(flat[::2], flat[1::2], strict=True)))
    except (KeyError, ValueError, TypeError) as error:
        logger.error("job_unreadable", job=job_id, error=f"{type(error).__name__}: {error}")
        return None


def json_bytes(fields: dict[str, Any]) -> bytes:
    """arq's serializer here, in place of its pickle."""
    return json.dumps(fields, separators=(",", ":")).encode()


def _id_time(job_id: str) -> int:
    """The milliseconds in a UUIDv7 (RFC 9562 §5.7)."""
    return int(job_id.removeprefix("job_").replace("-", "")[:12], 16)
