"""A job: its states, what was asked for (`JobSpec`), and the record as Redis holds it (`Job`).

`TRANSITIONS` is the one table of the job's life. The Lua scripts get it from here, the diagram in the docs is
made from it, and a property test drives the scripts at random against it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic_core import to_json

from shared.stored import build
from shared.usage import USAGE_FIELDS, Usage, from_dollars


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Event(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    LAPSE = "lapse"
    RELEASE = "release"
    AWAIT_ACTION = "await_action"
    DECIDE = "decide"
    CANCEL = "cancel"
    EXPIRE = "expire"
    SUCCEED = "succeed"
    STOP_SHORT = "stop_short"
    FAIL = "fail"
    CONFIRM_CANCEL = "confirm_cancel"


FINISHED = frozenset({Status.SUCCEEDED, Status.INCOMPLETE, Status.FAILED, Status.CANCELLED, Status.EXPIRED})

TRANSITIONS: dict[Status, dict[Event, Status]] = {
    Status.QUEUED: {
        Event.CLAIM: Status.RUNNING,
        Event.CANCEL: Status.CANCELLED,
        Event.EXPIRE: Status.EXPIRED,
    },
    Status.RUNNING: {
        Event.LAPSE: Status.QUEUED,  # its worker died; another goes on
        Event.RELEASE: Status.QUEUED,
        Event.AWAIT_ACTION: Status.REQUIRES_ACTION,
        Event.CANCEL: Status.CANCELLING,
        Event.SUCCEED: Status.SUCCEEDED,
        Event.STOP_SHORT: Status.INCOMPLETE,
        Event.FAIL: Status.FAILED,
    },
    Status.REQUIRES_ACTION: {
        Event.DECIDE: Status.QUEUED,
        Event.CANCEL: Status.CANCELLED,
    },
    # A 202 to a cancel is a promise: whatever the work comes to in the meantime, the job ends cancelled.
    Status.CANCELLING: {
        Event.CANCEL: Status.CANCELLING,
        Event.LAPSE: Status.CANCELLED,
        Event.RELEASE: Status.CANCELLED,
        Event.AWAIT_ACTION: Status.CANCELLED,
        Event.SUCCEED: Status.CANCELLED,
        Event.STOP_SHORT: Status.CANCELLED,
        Event.FAIL: Status.CANCELLED,
        Event.CONFIRM_CANCEL: Status.CANCELLED,
    },
}


class WaitReason(StrEnum):
    """Why a queued job does not run yet."""

    CAPACITY = "capacity"
    RATE_LIMIT = "rate_limit"
    PROVIDER_OUTAGE = "provider_outage"
    RETRY_BACKOFF = "retry_backoff"
    SCHEDULED = "scheduled"
    SESSION_BUSY = "session_busy"


class IncompleteReason(StrEnum):
    """Which limit ended a job that keeps its partial output."""

    MAX_TURNS = "max_turns"
    BUDGET_EXCEEDED = "budget_exceeded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    LOOP_DETECTED = "loop_detected"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"


class Priority(StrEnum):
    HIGH = "high"
    STANDARD = "standard"
    LOW = "low"


HEAD_START_MS = {Priority.HIGH: 600_000, Priority.STANDARD: 300_000, Priority.LOW: 0}
"""How far a priority moves a job ahead in its queue: a ten minute old low job goes before a new high one."""


SUSPECT_CRASHES = 2
"""After so many deaths of its workers a job may itself be what kills them."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one job may use; None is no limit. Money in nano-dollars, time in seconds from its first start."""

    max_turns: int | None = 20
    max_tokens: int | None = None
    max_cost_nano: int | None = None
    max_seconds: int | None = 3600

    @classmethod
    def of(cls, limits: Mapping[str, Any]) -> "Budget":
        """From limits by their public names, with the money as a decimal string."""
        cost = limits["max_cost_usd"]
        return cls(
            max_turns=limits["max_turns"],
            max_tokens=limits["max_tokens"],
            max_cost_nano=None if cost is None else from_dollars(cost),
            max_seconds=limits["max_seconds"],
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job may run. Times are Redis TIME in milliseconds, spans count from the submit; None is no limit."""

    run_at_ms: int | None = None
    """It starts at this time at the earliest."""
    delay_ms: int | None = None
    """It starts so much later at the earliest."""
    ttl_ms: int | None = None
    """It expires when it has not started after so long."""
    deadline_ms: int | None = None
    """It expires when it has not started by this time, and is stopped with what it has when it still runs."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that died, or was silent for a whole lease, while it held the job."""

    at_ms: int
    owner: str


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What was asked for: written once at submit, never changed."""

    tenant: str
    agent: str
    input: str | list[dict[str, Any]]
    chain: str
    budget: Budget = Budget()
    priority: Priority = Priority.STANDARD
    session_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    traceparent: str | None = None
    schedule: Schedule = Schedule()

    def to_json(self) -> str:
        return to_json(self).decode()  # in a submit this is most of the work: pydantic's writer is many times faster

    @classmethod
    def from_json(cls, text: str) -> "JobSpec":
        fields = json.loads(text)
        fields["budget"] = build(Budget, fields["budget"])
        fields["priority"] = Priority(fields["priority"])
        fields["schedule"] = build(Schedule, fields.get("schedule", {}))
        return build(cls, fields)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed. `type` says whose fault, `code` which one, `retryable` whether the same job may yet work."""

    type: str
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A job record. Times are Redis TIME in milliseconds since the epoch."""

    id: str
    spec: JobSpec
    status: Status
    revision: int
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    next_attempt_ms: int | None
    expires_ms: int | None
    wait_reason: WaitReason | None
    crashes: int
    failures: int
    parks: int
    deaths: list[Death]
    usage: Usage
    served: str | None
    output: str | None
    error: JobError | None
    incomplete: IncompleteReason | None

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def attempt(self) -> int:
        """The first is 1; a failure and a death of its worker make another, a deploy and a park do not."""
        return self.crashes + self.failures + 1

    @property
    def suspect(self) -> bool:
        return self.crashes >= SUSPECT_CRASHES

    @classmethod
    def new(
        cls, job_id: str, spec: JobSpec, created_ms: int, *, next_attempt_ms: int | None, expires_ms: int | None
    ) -> "Job":
        """A job as it is right after its submit."""
        record = {
            "status": Status.QUEUED,
            "revision": "1",
            "created_ms": str(created_ms),
            "next_attempt_ms": str(next_attempt_ms or ""),
            "expires_ms": str(expires_ms or ""),
            "wait_reason": WaitReason.SCHEDULED if next_attempt_ms else "",
        }
        return cls._from(job_id, spec, record)

    @classmethod
    def from_hash(cls, job_id: str, record: dict[str, str]) -> "Job":
        """Reads the Redis hash of a job; fields that were never written have their defaults."""
        return cls._from(job_id, JobSpec.from_json(record["spec"]), record)

    @classmethod
    def _from(cls, job_id: str, spec: JobSpec, record: Mapping[str, str]) -> "Job":
        def number(name: str) -> int | None:
            return int(record[name]) if record.get(name) else None

        error = record.get("error")
        incomplete = record.get("incomplete")
        wait_reason = record.get("wait_reason")
        return cls(
            id=job_id,
            spec=spec,
            status=Status(record["status"]),
            revision=int(record["revision"]),
            created_ms=int(record["created_ms"]),
            started_ms=number("started_ms"),
            finished_ms=number("finished_ms"),
            next_attempt_ms=number("next_attempt_ms"),
            expires_ms=number("expires_ms"),
            wait_reason=WaitReason(wait_reason) if wait_reason else None,
            crashes=number("crashes") or 0,
            failures=number("failures") or 0,
            parks=number("parks") or 0,
            deaths=[_death(line) for line in (record.get("deaths") or "").splitlines()],
            usage=Usage(*(number(name) or 0 for name in USAGE_FIELDS)),
            served=record.get("served") or None,
            output=record.get("output"),
            error=build(JobError, json.loads(error)) if error else None,
            incomplete=IncompleteReason(incomplete) if incomplete else None,
        )


def _death(line: str) -> Death:
    at_ms, _, owner = line.partition(" ")
    return Death(int(at_ms), owner)
