"""What is submitted, what it is measured against, and what can become of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.job import JobSpec, WaitReason
from shared.pace import Pace
from shared.states import Status


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may wait, for the whole service and for a tenant, and the tenant's share, submits a minute and money a
    day; 0 is no limit."""

    max_depth: int = 10_000
    max_wait_seconds: float = 0
    max_waiting: int = 0
    max_running: int = 0
    weight: float = 1
    submits_per_minute: int = 0
    daily_cost_nano: int = 0

    def as_text(self) -> str:
        return (
            f"{self.max_depth} {self.max_wait_seconds:g} {self.max_waiting} {self.max_running} {self.weight:g} "
            f"{self.submits_per_minute} {self.daily_cost_nano}"
        )


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that asks to come in. `fingerprint` tells bodies apart that come with the same key; `alone` that it is not
    to come in while its session has another job. One that is forked (`JobSpec.forked_from`) may be told a `message`
    before it goes on, and `with_mail` what the other job has not heard."""

    job_id: str
    spec: JobSpec
    idempotency_key: str | None = None
    fingerprint: str = ""
    alone: bool = False
    message: str = ""
    with_mail: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is in. `ahead`, `behind` and `running` tell its place (see `shared.pace.Place`). Times are Redis
    TIME in ms; `next_attempt_ms` is None for a job that may start now, `expires_ms` for one that waits for ever.
    `submits_left` are those that the tenant may make at once, None for any number."""

    job_id: str
    status: Status
    wait_reason: WaitReason | None
    ahead: int
    behind: int
    running: int
    next_attempt_ms: int | None
    expires_ms: int | None
    submits_left: int | None
    pace: Pace


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same Idempotency-Key and body made this job before."""

    job_id: str


@dataclass(frozen=True, slots=True)
class KeyConflict:
    """The Idempotency-Key belongs to another body."""

    job_id: str


@dataclass(frozen=True, slots=True)
class SessionBusy:
    """Not taken: it wants its session for itself, and this job of it is live."""

    job_id: str


@dataclass(frozen=True, slots=True)
class OriginGone:
    """Not taken: the job that it was to be forked from has been deleted, or removed after its retention."""


class FullBecause(StrEnum):
    DEPTH = "depth"
    WAIT = "wait"
    TENANT = "tenant"
    RATE = "rate"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class QueueFull:
    """Not taken. `waiting` are the tenant's own waiting jobs; `wait_ms` is when a limit in time lets it in again,
    and before when no place of the tenant comes free, since its jobs that wait are due later; 0 for other reasons."""

    because: FullBecause
    waiting: int
    wait_ms: int
    pace: Pace


@dataclass(frozen=True, slots=True)
class Withheld:
    """Not taken, because another one was not and they belong together."""


Outcome = Accepted | Replayed | KeyConflict | SessionBusy | OriginGone | QueueFull | Withheld


def outcomes(answer: Sequence[Any]) -> list[Outcome]:
    """From what `job_submit.lua` answers."""
    answers, *pace = answer
    state = Pace.read(pace)
    return [_outcome(one, state) for one in answers]


def _outcome(answer: Sequence[Any], pace: Pace) -> Outcome:
    match answer:
        case ["accepted", job_id, status, reason, ahead, behind, running, next_ms, expires_ms, left]:
            wait_reason = WaitReason(reason) if reason else None
            place, times = (ahead, behind, running), (next_ms or None, expires_ms or None)
            submits_left = None if left < 0 else left
            return Accepted(job_id, Status(status), wait_reason, *place, *times, submits_left, pace)
        case ["replayed", prior]:
            return Replayed(prior)
        case ["conflict", prior]:
            return KeyConflict(prior)
        case ["busy", live]:
            return SessionBusy(live)
        case ["gone"]:
            return OriginGone()
        case ["full", reason, waiting, wait_ms]:
            return QueueFull(FullBecause(reason), waiting, wait_ms, pace)
        case ["withheld"]:
            return Withheld()
    raise AssertionError(answer)
