"""What a submit is measured against, and what can become of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.pace import Pace
from shared.states import Status


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may wait, for the whole service and for a tenant, and the tenant's share; 0 is no limit."""

    max_depth: int = 10_000
    max_wait_seconds: float = 0
    max_waiting: int = 0
    max_running: int = 0
    weight: float = 1

    def as_text(self) -> str:
        return f"{self.max_depth} {self.max_wait_seconds:g} {self.max_waiting} {self.max_running} {self.weight:g}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is in. `ahead` jobs start before it. Times are Redis TIME in ms; `next_attempt_ms` is None for a job
    that may start now, `expires_ms` for one that waits for ever."""

    job_id: str
    status: Status
    ahead: int
    next_attempt_ms: int | None
    expires_ms: int | None
    pace: Pace


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
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class QueueFull:
    """Not taken. `waiting` are the tenant's own waiting jobs."""

    because: FullBecause
    waiting: int
    pace: Pace


Outcome = Accepted | Replayed | KeyConflict | QueueFull


def outcome(answer: Sequence[Any]) -> Outcome:
    """From what `job_submit.lua` answers."""
    match answer:
        case ["accepted", job_id, status, ahead, next_ms, expires_ms, *pace]:
            return Accepted(job_id, Status(status), ahead, next_ms or None, expires_ms or None, Pace.read(pace))
        case ["replayed", prior]:
            return Replayed(prior)
        case ["conflict", prior]:
            return KeyConflict(prior)
        case ["full", reason, waiting, *pace]:
            return QueueFull(FullBecause(reason), waiting, Pace.read(pace))
    raise AssertionError(answer)
