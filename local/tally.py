"""Jobs added up: what the demo shows while they run and at the end."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from client.sluice_client import Job, Usage

_UNSUCCESSFUL = ("incomplete", "failed", "cancelled", "expired")


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of jobs by state, and what they used; `a + b` adds each."""

    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    """Ended in any other way than with success."""
    turns: int = 0
    tokens: int = 0
    cost: Decimal = Decimal(0)
    """Dollars."""

    @property
    def finished(self) -> int:
        return self.done + self.failed

    @property
    def jobs(self) -> int:
        return self.queued + self.running + self.finished

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.queued + other.queued,
            self.running + other.running,
            self.done + other.done,
            self.failed + other.failed,
            self.turns + other.turns,
            self.tokens + other.tokens,
            self.cost + other.cost,
        )


def tally(jobs: Iterable[Job]) -> Tally:
    return sum(map(_one, jobs), Tally())


def tally_by_agent(jobs: Iterable[Job], agents: Iterable[str]) -> dict[str, Tally]:
    """A tally for each of the agents, in their order."""
    jobs = list(jobs)
    return {agent: tally(job for job in jobs if job["agent"] == agent) for agent in agents}


def why_not(job: Job) -> str | None:
    """What kept a job from success, in one line; None for one that succeeded."""
    status = job["status"]
    if status == "succeeded":
        return None
    if error := job["error"]:
        return f"{status}: {error['code']}: {error['message']}"
    if stopped := job["incomplete_details"]:
        return f"{status}: {stopped['reason']}" + (f": {stopped['message']}" if stopped["message"] else "")
    details = job["wait_reason"]
    still = "" if status in _UNSUCCESSFUL else "still "
    return f"{still}{status}" + (f": {details}" if details else "")


def _one(job: Job) -> Tally:
    usage, status = job["usage"], job["status"]
    return Tally(
        queued=int(status == "queued"),
        running=int(status in ("running", "requires_action", "cancelling")),
        done=int(status == "succeeded"),
        failed=int(status in _UNSUCCESSFUL),
        turns=usage["turns"],
        tokens=_tokens(usage),
        cost=Decimal(usage["cost_usd"]),
    )


def _tokens(usage: Usage) -> int:
    cached = usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]
    return usage["input_tokens"] + cached + usage["output_tokens"]
