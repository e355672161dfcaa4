"""A delivery: one event on its way to one receiver, and what became of each attempt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import to_json

from shared.stored import build
from shared.usage import USAGE_FIELDS, Usage


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class FailedBecause(StrEnum):
    """Why no more attempts are made."""

    EXHAUSTED = "exhausted"
    """All attempts have failed."""
    GONE = "gone"
    """The receiver answered 410."""
    ENDPOINT_DISABLED = "endpoint_disabled"
    ENDPOINT_DELETED = "endpoint_deleted"
    URL_NOT_ALLOWED = "url_not_allowed"
    """Of the URL itself, by settings that have changed since it was taken."""


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt, at Redis TIME in milliseconds: what was answered, or why nothing was. `answer` is the beginning of
    the answer's body, when it is kept."""

    at_ms: int
    status: int | None
    latency_ms: int
    error: str | None = None
    answer: str | None = None

    def to_json(self) -> str:
        return to_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "Try":
        return build(cls, json.loads(text))


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What a delivery says of a job, as it was when it happened; without session, metadata and actions once the job has
    been deleted."""

    job_id: str
    status: str
    revision: int
    usage: Usage
    agent: str
    session_id: str | None
    metadata: dict[str, str]
    actions: list[dict[str, Any]] | None = None
    """What it asks a person, without the input; None when it has not asked."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Its record. `event` is None for one that only tries an endpoint out; `url` is '' when the endpoint's is meant;
    `tries` are those since it was filed or replayed."""

    id: str
    tenant: str
    type: str
    host: str
    endpoint_id: str
    url: str
    at_ms: int
    state: DeliveryState
    reason: FailedBecause | None
    next_ms: int | None
    tries: int
    claims: int
    event: JobEvent | None

    @classmethod
    def from_hash(cls, delivery_id: str, record: Mapping[str, str]) -> "Delivery":
        about = json.loads(record["about"])
        return cls(
            id=delivery_id,
            tenant=record["tenant"],
            type=record["type"],
            host=record["host"],
            endpoint_id=record["endpoint_id"],
            url=about.get("url") or "",
            at_ms=int(record["at_ms"]),
            state=DeliveryState(record["state"]),
            reason=FailedBecause(record["reason"]) if record.get("reason") else None,
            next_ms=int(record["next_ms"]) if record.get("next_ms") else None,
            tries=int(record.get("tries") or 0),
            claims=int(record.get("claims") or 0),
            event=_event(record, about) if record.get("job_id") else None,
        )


def _event(record: Mapping[str, str], about: Mapping[str, Any]) -> JobEvent:
    return JobEvent(
        job_id=record["job_id"],
        status=record["job_status"],
        revision=int(record["revision"]),
        usage=Usage(*(int(record.get(name) or 0) for name in USAGE_FIELDS)),
        agent=about["agent"],
        session_id=about["session_id"],
        metadata=about["metadata"],
        actions=json.loads(record["actions"]) if record.get("actions") else None,
    )


def flat(record: Sequence[str]) -> dict[str, str]:
    """A hash as a script answers it."""
    return dict(zip(record[::2], record[1::2], strict=True))
