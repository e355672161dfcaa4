"""A small model of the queue: what the scripts promise, in plain Python, without Redis, time or leases that tick.

A worker that fell silent, a pause that is over and a time to live that has passed are facts here, not moments: the test
makes them true in the store.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.job import HEAD_START_MS, Priority
from shared.states import FINISHED, TRANSITIONS, Event, Status


@dataclass
class Entry:
    """One job. `order` is when it came in; `parked` that it must not be taken yet, `ripe` that its pause is over,
    `scheduled` that it has not been due yet since its submit, `outage` that it waits for its provider. A job of a
    `session` that has come due once stands in the line of that."""

    id: str
    tenant: str
    priority: Priority
    order: int
    status: Status = Status.QUEUED
    holder: str | None = None
    parked: bool = False
    ripe: bool = False
    scheduled: bool = False
    outage: bool = False
    session: str | None = None
    stale: bool = False
    """Its time to live has passed."""
    started: bool = False
    crashes: int = 0
    records: int = 0
    asks: list[str] = field(default_factory=list)
    """The actions it waits for, of which each leaves a decision in the journal."""
    asked: int = 0
    """How often it has asked."""
    overdue: bool = False
    """Its questions have expired."""
    mail: int = 0
    """Messages that it has not heard."""

    @property
    def rank(self) -> tuple[int, int]:
        """All head starts are minutes and the test takes seconds, so that priority always decides first."""
        return -HEAD_START_MS[self.priority], self.order

    def happens(self, event: Event) -> None:
        self.status = TRANSITIONS[self.status][event]

    def decided(self, action_id: str) -> None:
        """Somebody has decided, or nobody did in time."""
        self.asks.remove(action_id)
        self.records += 1
        if not self.asks:
            self.overdue = False
            self.happens(Event.DECIDE)


@dataclass
class Model:
    weights: dict[str, float]
    caps: dict[str, int]
    """A tenant that is missing has no cap."""
    jobs: dict[str, Entry] = field(default_factory=dict)
    silent: dict[str, bool] = field(default_factory=dict)
    """The workers of the fleet, and whether nothing has been heard of them for long."""
    lines: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """The ids of the jobs of each session, by tenant and session, the live one first."""

    def line_of(self, job: Entry) -> list[str]:
        return self.lines.setdefault((job.tenant, job.session), []) if job.session else []

    def held_back(self, job: Entry) -> bool:
        """It waits for the live job of its session."""
        return job.id in self.line_of(job)[1:]

    def is_due(self, job: Entry) -> bool:
        return job.status == Status.QUEUED and not job.parked and not self.held_back(job)

    def comes_in(self, job: Entry) -> None:
        """A job that may start now; one of a session stands in line from then on."""
        job.parked = job.ripe = False
        if job.session and job.id not in self.line_of(job):
            self.line_of(job).append(job.id)

    def moves(self, job: Entry, event: Event) -> None:
        job.happens(event)
        if job.status in FINISHED and job.id in self.line_of(job):
            self.line_of(job).remove(job.id)

    def unfinished(self, tenant: str | None = None) -> list[Entry]:
        return [job for job in self.jobs.values() if job.status not in FINISHED and tenant in (None, job.tenant)]

    def waiting(self, tenant: str | None = None) -> int:
        return sum(job.status == Status.QUEUED for job in self.unfinished(tenant))

    def running(self, tenant: str) -> int:
        return sum(job.holder is not None for job in self.unfinished(tenant))

    def may_run(self, tenant: str) -> bool:
        return self.running(tenant) < self.caps.get(tenant, 10**6)

    def share(self, tenant: str) -> float:
        return self.running(tenant) / self.weights[tenant]

    def ready(self) -> set[str]:
        """Tenants that have a job due and may run one more."""
        return {job.tenant for job in self.unfinished() if self.is_due(job) and self.may_run(job.tenant)}

    def next_of(self, tenant: str) -> Entry:
        return min((job for job in self.unfinished(tenant) if self.is_due(job)), key=lambda job: job.rank)

    def sweeps(self, judge: bool) -> None:
        """What whoever has the watch brings about."""
        for dead in [name for name, silent in self.silent.items() if silent and judge]:
            del self.silent[dead]
            for job in self.unfinished():
                if job.holder == dead:
                    job.crashes += 1
                    job.holder = None
                    self.moves(job, Event.LAPSE)
        for job in self.unfinished():
            if job.parked and job.ripe:
                self.comes_in(job)
        for job in self.unfinished():
            if job.overdue and job.status == Status.REQUIRES_ACTION:
                for action_id in list(job.asks):
                    job.decided(action_id)
        for job in self.unfinished():
            if job.stale and not job.started and job.status == Status.QUEUED:
                self.moves(job, Event.EXPIRE)

    def wakes(self, most: int) -> None:
        """Up to so many of those that wait for their provider are due."""
        parked = [job for job in self.unfinished() if job.parked and job.outage]
        for job in sorted(parked, key=lambda job: job.rank)[:most]:
            self.comes_in(job)

    def takes(self, worker: str, taken: Iterable[str], wanted: int) -> Iterator[str]:
        """Moves the jobs that a claim took, and yields what was wrong with that."""
        count = 0
        for job_id in taken:
            job, count = self.jobs[job_id], count + 1
            ready = self.ready()
            if job.tenant not in ready:
                yield f"{job.tenant} had nothing due, or had as many running as it may"
            elif self.share(job.tenant) > min(map(self.share, ready)) + 1e-6:
                yield f"it was not the turn of {job.tenant}"
            elif self.next_of(job.tenant) is not job:
                yield "another job of the tenant was before it"
            job.happens(Event.CLAIM)
            job.holder, job.started = worker, True
        if count < wanted and self.ready():
            yield "jobs were due and were not taken"
