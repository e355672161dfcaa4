"""Admission: whether a job may come in, and what to tell whoever has to come back later."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from api.agent_input import check_input
from api.directory import AgentDirectory
from api.group import Group
from api.idempotency import KEY_HEADER, check_key
from api.problems import Code, FieldError, Problem, invalid, no_such_job
from api.receivers import Receivers
from api.schemas import BudgetRequest, JobRequest
from shared import backoff, clock, ids, metrics
from shared.catalogue import AgentEntry
from shared.inspector import Sighting
from shared.job import Budget, Job, JobSpec, Priority
from shared.pace import Pace, Place
from shared.queue import Queue
from shared.sections import QueueSettings, Tenant
from shared.submission import (
    Accepted,
    Caps,
    FullBecause,
    KeyConflict,
    OriginGone,
    Outcome,
    QueueFull,
    Replayed,
    SessionBusy,
    Submission,
    Withheld,
)
from shared.usage import dollars
from shared.webhook import Webhook

REFUSED = (
    Code.AGENT_NOT_ALLOWED,
    Code.UNKNOWN_AGENT,
    Code.URL_NOT_ALLOWED,
    Code.IDEMPOTENCY_CONFLICT,
    Code.SESSION_BUSY,
    Code.QUEUE_FULL,
    Code.TENANT_QUOTA,
    Code.TENANT_RATE,
    Code.TENANT_BUDGET,
    Code.NO_WORKER_YET,
    Code.DRAINING,
)
"""Why a job may not come in, beside what is wrong with its body."""
_UNKNOWN_RATE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A new job. `submits_left` are those that its tenant may make at once, None for any number."""

    sighting: Sighting
    submits_left: int | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """The job that this Idempotency-Key made before."""

    job_id: str


class Admission:
    def __init__(
        self,
        queue: Queue,
        directory: AgentDirectory,
        receivers: Receivers,
        settings: QueueSettings,
        tenants: Mapping[str, Tenant],
    ) -> None:
        self._queue = queue
        self._directory = directory
        self._receivers = receivers
        self._settings = settings
        self._caps = {name: _caps(settings, tenant) for name, tenant in tenants.items()}
        self._usual_caps = _caps(settings, Tenant())
        self._groups: dict[str, Group] = {}

    async def submit(
        self,
        request: JobRequest,
        body: Any,
        *,
        tenant: str,
        idempotency_key: str | None,
        traceparent: str | None,
    ) -> Admitted | Repeated:
        """Takes the job, or raises the Problem that says why not. `body` is the parsed body as it was sent."""
        return await self.take(
            await self.check(request, body, tenant=tenant, idempotency_key=idempotency_key, traceparent=traceparent)
        )

    async def take(self, job: Submission) -> Admitted | Repeated:
        """Takes a job that has been checked, or raises the Problem that says why not."""
        tenant = job.spec.tenant
        if tenant not in self._groups:
            self._groups[tenant] = Group(self._queue, self._caps_of(tenant))
        answer = await self._groups[tenant].submit(job)
        _count(job, answer)
        return self.let_in(job, answer)

    async def check(
        self,
        request: JobRequest,
        body: Any,
        *,
        tenant: str,
        idempotency_key: str | None,
        traceparent: str | None,
    ) -> Submission:
        """The job as it asks to come in. Raises the Problem that it has by itself."""
        check_key(idempotency_key)
        agent = await self._directory.find(request.agent, tenant)
        check_input(agent, body["input"])
        webhook = await self._receivers.of_job(request.webhook, tenant=tenant)
        return Submission(
            ids.new_job_id(),
            _spec(request, body, agent, tenant, traceparent, webhook),
            idempotency_key,
            fingerprint(body) if idempotency_key else "",
            alone=request.on_conflict == "reject",
        )

    async def ask(self, jobs: Sequence[Submission], *, together: bool = False) -> list[Outcome]:
        """What the queue says to these jobs of one tenant, in turn. Raises StoreUnavailable."""
        answers = await self._queue.submit_many(jobs, caps=self._caps_of(jobs[0].spec.tenant), together=together)
        for job, answer in zip(jobs, answers, strict=True):
            _count(job, answer)
        return answers

    def let_in(self, job: Submission, answer: Outcome) -> Admitted | Repeated:
        """What has become of the job. Raises the Problem that says why it was not taken."""
        match answer:
            case Accepted():
                return Admitted(_sighting(job, answer, self._caps_of(job.spec.tenant)), answer.submits_left)
            case Replayed():
                return Repeated(answer.job_id)
            case KeyConflict():
                raise Problem(
                    Code.IDEMPOTENCY_CONFLICT,
                    f"This Idempotency-Key has made {answer.job_id} from another body; use a new key for a new job.",
                    errors=[FieldError(pointer=KEY_HEADER, detail="was used with another body")],
                )
            case SessionBusy():
                raise Problem(
                    Code.SESSION_BUSY,
                    f"{answer.job_id} of the session {job.spec.session_id} has not finished. Wait for its end or "
                    "cancel it, or leave out on_conflict: then the job waits for its turn.",
                )
            case OriginGone():
                raise no_such_job()
            case QueueFull():
                raise self._full(job.spec.tenant, answer)
            case Withheld():
                raise AssertionError("one job cannot be withheld because of another")

    def _full(self, tenant: str, answer: QueueFull) -> Problem:
        if answer.because in (FullBecause.RATE, FullBecause.BUDGET):
            return self._spent(tenant, answer)
        code, ahead = Code.QUEUE_FULL, answer.pace.waiting
        match answer.because:
            case FullBecause.DEPTH:
                reason = f"{ahead} jobs are waiting already"
            case FullBecause.WAIT:
                reason = f"A new job would wait for more than {self._settings.max_wait_seconds:g} seconds"
            case FullBecause.TENANT:
                code, ahead = Code.TENANT_QUOTA, answer.waiting
                reason = f"{ahead} jobs of yours are waiting already, which is as many as you may have"
        seconds = retry_after(ahead, answer.pace, answer.wait_ms / 1000)
        return Problem(
            code,
            f"{reason}; try again in {seconds} seconds.",
            headers={"Retry-After": str(seconds)} | self.rate_limit_headers(tenant, answer.pace.waiting, seconds),
        )

    def _spent(self, tenant: str, answer: QueueFull) -> Problem:
        """A tenant's own limit in time is reached: when it ends is known, to the millisecond."""
        seconds, caps = _in_bounds(backoff.spread(answer.wait_ms / 1000)), self._caps_of(tenant)
        again = clock.rfc3339(answer.pace.now_ms + answer.wait_ms)
        if answer.because == FullBecause.RATE:
            code, left = Code.TENANT_RATE, 0
            detail = f"You may submit {caps.submits_per_minute} jobs a minute; try again in {seconds} seconds."
        else:
            code, left = Code.TENANT_BUDGET, None
            detail = (
                f"Your jobs of today have cost the {dollars(caps.daily_cost_nano)} dollars that they may cost a day; "
                f"new ones are taken from {again} on."
            )
        limits = self.rate_limit_headers(tenant, answer.pace.waiting, seconds, left)
        return Problem(code, detail, headers={"Retry-After": str(seconds)} | limits)

    def rate_limit_headers(
        self, tenant: str, waiting: int, seconds: int, submits_left: int | None = None
    ) -> dict[str, str]:
        """`RateLimit` fields (draft-ietf-httpapi-ratelimit-headers): places in the queue, and when to look again; and
        how many submits are left of those that the tenant may make a minute, if `submits_left` tells."""
        depth, per_minute = self._settings.max_depth, self._caps_of(tenant).submits_per_minute
        policy, state = f'"queue";q={depth}', f'"queue";r={max(0, depth - waiting)};t={seconds}'
        if per_minute and submits_left is not None:
            policy += f', "submits";q={per_minute};w=60'
            state += f', "submits";r={submits_left};t={math.ceil((per_minute - submits_left) * 60 / per_minute)}'
        return {"RateLimit-Policy": policy, "RateLimit": state}

    def _caps_of(self, tenant: str) -> Caps:
        return self._caps.get(tenant, self._usual_caps)


def _count(job: Submission, answer: Outcome) -> None:
    metrics.SUBMITS.labels(job.spec.agent, type(answer).__name__.lower()).inc()


def retry_after(ahead: int, pace: Pace, at_least: float = 0) -> int:
    """Seconds until what is ahead has drained at the measured rate, jittered so that not all return at once: 1–300."""
    wait = pace.wait_seconds(ahead)
    seconds = max(at_least, _UNKNOWN_RATE_SECONDS if wait is None else wait)
    return _in_bounds(backoff.spread(min(seconds, 300)))


def _in_bounds(seconds: float) -> int:
    return max(1, min(300, math.ceil(seconds)))


def _spec(
    request: JobRequest,
    body: Any,
    agent: AgentEntry,
    tenant: str,
    traceparent: str | None,
    webhook: Webhook | None,
) -> JobSpec:
    return JobSpec(
        tenant=tenant,
        agent=agent.name,
        input=body["input"],
        chain=agent.chain,
        budget=budget_of(request.budget, agent),
        priority=Priority(request.priority),
        session_id=request.session_id,
        metadata=request.metadata,
        traceparent=traceparent,
        schedule=request.schedule(),
        webhook=webhook,
    )


def _caps(settings: QueueSettings, tenant: Tenant) -> Caps:
    return Caps(
        max_depth=settings.max_depth,
        max_wait_seconds=settings.max_wait_seconds,
        max_waiting=tenant.max_waiting or 0,
        max_running=tenant.max_running or 0,
        weight=tenant.weight,
        submits_per_minute=tenant.submits_per_minute or 0,
        daily_cost_nano=tenant.daily_cost_nano,
    )


def _sighting(asked: Submission, answer: Accepted, caps: Caps) -> Sighting:
    """The job as it was the moment it was written down, without reading it again."""
    job = Job.new(
        answer.job_id,
        asked.spec,
        answer.pace.now_ms,
        wait_reason=answer.wait_reason,
        next_attempt_ms=answer.next_attempt_ms,
        expires_ms=answer.expires_ms,
    )
    place = Place(answer.ahead, answer.running, caps.max_running or None, answer.behind)
    return Sighting(job, place, answer.pace)


def budget_of(wanted: BudgetRequest, agent: AgentEntry) -> Budget:
    """The agent's limits, lowered where the caller asks for less. Raises Problem where it asks for more."""
    errors, limits = [], {}
    for name, limit in agent.budget.items():
        wish = getattr(wanted, name)
        if wish is not None and limit is not None and Decimal(wish) > Decimal(limit):
            errors.append(FieldError(pointer=f"#/budget/{name}", detail=f"this agent allows {limit} at most"))
        limits[name] = limit if wish is None else wish
    if errors:
        raise invalid(*errors)
    return Budget.of(limits)


def fingerprint(body: Any) -> str:
    """Tells bodies apart that come with the same Idempotency-Key."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
