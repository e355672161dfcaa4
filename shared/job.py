"""A job: what was asked for (`JobSpec`), and its record in Redis (`Job`). Its states are in `shared.states`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from shared import log
from shared.action import Action
from shared.origin import Origin
from shared.states import FINISHED, Status
from shared.stored import build
from shared.usage import USAGE_FIELDS, Usage, from_dollars
from shared.webhook import Webhook

logger = log.get(__name__)


class WaitReason(StrEnum):
    """Why a queued job does not run yet."""

    CAPACITY = "capacity"
    RATE_LIMIT = "rate_limit"
    PROVIDER_OUTAGE = "provider_outage"
    RETRY_BACKOFF = "retry_backoff"
    SCHEDULED = "scheduled"
    SESSION_BUSY = "session_busy"
    TENANT_BUDGET = "tenant_budget"
    TOOL_SERVER = "tool_server"


class IncompleteReason(StrEnum):
    """Which limit ended a job that keeps its partial output."""

    MAX_TURNS = "max_turns"
    BUDGET_EXCEEDED = "budget_exceeded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    LOOP_DETECTED = "loop_detected"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"


STOPPED_SHORT = {
    "max_tokens": IncompleteReason.MAX_TOKENS,
    "model_context_window_exceeded": IncompleteReason.MAX_TOKENS,
    "refusal": IncompleteReason.REFUSAL,
}
"""Stop reasons of answers that nothing can follow, and what a job is that ends with one."""


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
    webhook: Webhook | None = None
    forked_from: Origin | None = None

    def to_json(self) -> str:
        return _WRITER.dump_json(self, warnings=False).decode()  # a warning would show what it warns of: an input

    @classmethod
    def from_json(cls, text: str) -> "JobSpec":
        fields = json.loads(text)
        fields["budget"] = build(Budget, fields["budget"])
        fields["priority"] = Priority(fields["priority"])
        fields["schedule"] = build(Schedule, fields.get("schedule", {}))
        fields["webhook"] = Webhook.stored(fields["webhook"]) if fields.get("webhook") else None
        fields["forked_from"] = Origin.stored(fields["forked_from"]) if fields.get("forked_from") else None
        return build(cls, fields)

    def about_webhook(self) -> str:
        """What its deliveries need to know of it, '' when nobody is told of it."""
        if self.webhook is None:
            return ""
        return self.webhook.about(agent=self.agent, session_id=self.session_id, metadata=self.metadata)


_WRITER = TypeAdapter(JobSpec)
"""Each submit writes a spec, for which `json` takes many times as long."""


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
    started_ms: int | None = None
    finished_ms: int | None = None
    next_attempt_ms: int | None = None
    expires_ms: int | None = None
    wait_reason: WaitReason | None = None
    claims: int = 0
    crashes: int = 0
    failures: int = 0
    parks: int = 0
    deaths: list[Death] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    served: str | None = None
    served_as: str | None = None
    output: str | None = None
    error: JobError | None = None
    incomplete: IncompleteReason | None = None
    incomplete_message: str | None = None
    mail: bool = False
    """Somebody has said something to it that it has not heard."""
    waited_ms: int = 0
    """How long it has waited for persons, which does not count against its `max_seconds`."""
    actions: list[Action] = field(default_factory=list)
    """What it waits for a person to decide, where that was read with it."""

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
        cls,
        job_id: str,
        spec: JobSpec,
        created_ms: int,
        *,
        wait_reason: WaitReason | None,
        next_attempt_ms: int | None,
        expires_ms: int | None,
    ) -> "Job":
        """A job as it is right after its submit."""
        return cls(
            job_id,
            spec,
            Status.QUEUED,
            revision=1,
            created_ms=created_ms,
            next_attempt_ms=next_attempt_ms,
            expires_ms=expires_ms,
            wait_reason=wait_reason,
        )

    @classmethod
    def from_hash(cls, job_id: str, record: dict[str, str]) -> "Job":
        """Reads the Redis hash of a job; fields that were never written have their defaults."""

        def number(name: str) -> int | None:
            return int(record[name]) if record.get(name) else None

        error = record.get("error")
        incomplete = record.get("incomplete")
        wait_reason = record.get("wait_reason")
        return cls(
            id=job_id,
            spec=JobSpec.from_json(record["spec"]),
            status=Status(record["status"]),
            revision=int(record["revision"]),
            created_ms=int(record["created_ms"]),
            started_ms=number("started_ms"),
            finished_ms=number("finished_ms"),
            next_attempt_ms=number("next_attempt_ms"),
            expires_ms=number("expires_ms"),
            wait_reason=WaitReason(wait_reason) if wait_reason else None,
            claims=number("claims") or 0,
            crashes=number("crashes") or 0,
            failures=number("failures") or 0,
            parks=number("parks") or 0,
            deaths=[_death(line) for line in (record.get("deaths") or "").splitlines()],
            usage=Usage(*(number(name) or 0 for name in USAGE_FIELDS)),
            served=record.get("served") or None,
            served_as=record.get("served_as") or None,
            output=record.get("output"),
            error=build(JobError, json.loads(error)) if error else None,
            incomplete=IncompleteReason(incomplete) if incomplete else None,
            incomplete_message=record.get("incomplete_message") or None,
            mail=bool(record.get("mail")),
            waited_ms=number("waited_ms") or 0,
            actions=[Action.stored(one) for one in json.loads(record.get("actions") or "[]")],
        )


def _death(line: str) -> Death:
    at_ms, _, owner = line.partition(" ")
    return Death(int(at_ms), owner)


def readable(job_id: str, record: Sequence[str] | Mapping[str, str]) -> Job | None:
    """The job of a record, flat or not; None, said, for one of another version, which must not keep others back."""
    fields = record if isinstance(record, Mapping) else dict(zip(record[::2], record[1::2], strict=True))
    try:
        return Job.from_hash(job_id, dict(fields))
    except Exception as error:
        logger.error("job_unreadable", job=job_id, error=type(error).__name__)
        return None
