"""The queue: every state change of a job, each one atomic script in arq's own format.

Reads are in `shared.inspector`; what the scripts promise stands in their headers (`shared/lua/job_*.lua`).
All methods raise StoreUnavailable when Redis is away, and are safe to repeat then.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from arq.jobs import serialize_job
from pydantic_core import to_json

from shared import ids, keys
from shared.errors import LeaseLost, Unheard
from shared.job import HEAD_START_MS, IncompleteReason, Job, JobError, JobSpec, WaitReason, readable
from shared.redis_client import Redis
from shared.scripts import script
from shared.sections import SessionSettings
from shared.states import Event, Status
from shared.stored import writable
from shared.submission import Caps, Outcome, Submission, outcomes

MOST_AT_ONCE = 100
"""Jobs in one submit: a few milliseconds in which Redis answers nobody else."""
_USUAL = Caps()
_USUAL_SESSIONS = SessionSettings()
_TALLY = {
    WaitReason.RETRY_BACKOFF: "failures",
    WaitReason.PROVIDER_OUTAGE: "parks",
    WaitReason.RATE_LIMIT: "parks",
    WaitReason.TENANT_BUDGET: "parks",
    WaitReason.TOOL_SERVER: "parks",
}
"""What a job's record counts when it goes back for this reason."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs this worker now holds, and Redis TIME in ms.

    `strangers` are jobs that a stock arq client enqueued, by id: arq's JSON blob, '' for one that is no JSON.
    `unreadable` are held, too, but their records are of another version: to be left to a worker of that.
    `anew` says that this worker may have been taken for dead meanwhile: what it held may be lost.
    """

    jobs: list[Job]
    now_ms: int
    strangers: dict[str, str]
    unreadable: list[str]
    anew: bool


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a worker's jobs: ids it lost, ids it holds without knowing, ids that are to be cancelled."""

    lost: list[str]
    unknown: list[str]
    cancelling: list[str]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How a job ends: the event, and what there is of output, error and reason; `message` says more of the reason."""

    event: Event
    output: str | None = None
    error: JobError | None = None
    incomplete: IncompleteReason | None = None
    message: str = ""


class Deletion(StrEnum):
    """What became of a wish to erase a job."""

    DELETED = "deleted"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"


class Queue:
    """Moves jobs along. `retention_ms` is how long a finished job is kept, `sessions` how long it is remembered."""

    def __init__(self, redis: Redis, *, retention_ms: int, sessions: SessionSettings = _USUAL_SESSIONS) -> None:
        self._redis = redis
        self._retention_ms = retention_ms
        self._session_terms = f"{sessions.idle_seconds * 1000} {sessions.max_history_bytes}"

    async def submit(
        self,
        job_id: str,
        spec: JobSpec,
        *,
        caps: Caps = _USUAL,
        idempotency_key: str | None = None,
        fingerprint: str = "",
    ) -> Outcome:
        """Accepts the job, or says why not; after `Accepted` it is not lost."""
        (answer,) = await self.submit_many([Submission(job_id, spec, idempotency_key, fingerprint)], caps=caps)
        return answer

    async def submit_many(
        self, jobs: Sequence[Submission], *, caps: Caps = _USUAL, together: bool = False
    ) -> list[Outcome]:
        """The same for jobs of one tenant in one call, in their order; `together` lets all in or none.

        Redis does nothing else meanwhile, about 30 µs for each: who has many makes several calls (MOST_AT_ONCE).
        """
        return outcomes(
            await script("job_submit")(
                self._redis,
                {},
                {"tenant": jobs[0].spec.tenant, "limits": caps.as_text(), "together": int(together)},
                [_fields(job) | {"session": self._session(job.spec)} for job in jobs],
            )
        )

    async def adopt(self, job_id: str, spec: JobSpec) -> bool:
        """Makes a stranger one of ours; False when somebody else was quicker, or it is gone."""
        return bool(
            await script("job_adopt")(
                self._redis,
                {},
                {
                    "id": job_id,
                    "spec": spec.to_json(),
                    "head_start_ms": HEAD_START_MS[spec.priority],
                    "session": self._session(spec),
                },
            )
        )

    async def claim(self, owner: str, *, ticket: int, wanted: int, suspects: int) -> Claim:
        """Gives up to `wanted` due jobs to `owner`, at most `suspects` of them suspect.

        Repeated with the same ticket after a lost answer it says again what it gave.
        """
        now_ms, jobs, strangers, anew = await script("job_claim")(
            self._redis, {}, {"owner": owner, "ticket": ticket, "wanted": wanted, "suspects": suspects}
        )
        claimed = {job_id: readable(job_id, record) for job_id, record in zip(jobs[::2], jobs[1::2], strict=True)}
        return Claim(
            [job for job in claimed.values() if job],
            now_ms,
            dict(zip(strangers[::2], strangers[1::2], strict=True)),
            [job_id for job_id, job in claimed.items() if job is None],
            bool(anew),
        )

    async def renew(self, owner: str, job_ids: Iterable[str], *, thorough: bool) -> Renewal:
        """What is true of the jobs that `owner` believes to hold.

        `thorough` tells also what is to be cancelled, and sets the jobs' backstops anew, which is due within minutes.
        """
        lost, unknown, cancelling = await script("job_renew")(
            self._redis, {}, {"owner": owner, "ids": json.dumps(list(job_ids)), "thorough": int(thorough)}
        )
        return Renewal(lost, unknown, cancelling)

    async def finish(
        self, owner: str, job_id: str, conclusion: Conclusion, *, agent: str = "", hears: bool = False
    ) -> Status:
        """Ends the job. Returns what it ended as: cancelled when it was to be cancelled. Raises LeaseLost.

        With `agent` what it cost is remembered: by that the agent's next jobs are estimated (`shared.forecast`).
        One that `hears` does not succeed while messages wait for it: raises Unheard.
        """
        answer = await script("job_finish")(
            self._redis,
            {},
            {
                "id": job_id,
                "owner": owner,
                "event": conclusion.event,
                "output": writable(conclusion.output or ""),
                "error": writable(json.dumps(asdict(conclusion.error), ensure_ascii=False)) if conclusion.error else "",
                "incomplete": conclusion.incomplete or "",
                "message": writable(conclusion.message) if conclusion.incomplete else "",
                "agent": agent,
                "hears": int(hears),
                "retention_ms": self._retention_ms,
            },
        )
        if answer == "mail":
            raise Unheard(job_id)
        return _held(answer, job_id)

    async def release(
        self,
        owner: str,
        job_id: str,
        wait_reason: WaitReason,
        *,
        delay_ms: int = 0,
        claim: int = 0,
        pool: str = "",
        behind_ms: int = 0,
    ) -> Status:
        """Gives the job back, due in `delay_ms` or at its old place. Raises LeaseLost.

        `claim` is `Job.claims` of the attempt that ends: without it a repeat could hit the same worker's next one.
        With a `pool` it waits until that pool's provider is back (`wake`): of all that do, only the first is due in
        `delay_ms`, the others in `behind_ms`.
        """
        answer = await script("job_release")(
            self._redis,
            {},
            {
                "id": job_id,
                "owner": owner,
                "claim": claim,
                "delay_ms": delay_ms,
                "wait_reason": wait_reason,
                "tally_of": _TALLY.get(wait_reason, ""),
                "pool": pool,
                "behind_ms": behind_ms,
                "retention_ms": self._retention_ms,
            },
        )
        return _held(answer, job_id)

    async def wake(self, pool: str, most: int) -> int:
        """Makes up to `most` jobs due that wait for this pool's provider; how many may be left."""
        left: int = await script("jobs_wake")(self._redis, {}, {"pool": pool, "most": most})
        return left

    async def cancel(self, job_id: str) -> Status | None:
        """Asks the job to end; returns its status now, None for a job there is not."""
        answer = await script("job_cancel")(self._redis, {}, {"id": job_id, "retention_ms": self._retention_ms})
        return None if answer == "unknown" else Status(answer)

    async def delete(self, job_id: str, *, tenant: str) -> Deletion:
        """Erases a finished job of this tenant, and all that it left behind."""
        return Deletion(await script("job_delete")(self._redis, {}, {"id": job_id, "tenant": tenant}))

    def _session(self, spec: JobSpec) -> str:
        """The job's session as its record has it (see `job_sessions.lua`), '' for none."""
        return f"{self._session_terms} {spec.session_id}" if spec.session_id else ""


def _fields(job: Submission) -> dict[str, str | int]:
    """What `job_submit.lua` takes for each job."""
    job_id, spec = job.job_id, job.spec
    schedule = spec.schedule
    blob = serialize_job(keys.JOB_FUNCTION, (job_id,), {}, None, ids.milliseconds(job_id), serializer=json_bytes)
    return {
        "id": job_id,
        "spec": spec.to_json(),
        "blob": blob.decode(),
        "head_start_ms": HEAD_START_MS[spec.priority],
        "run_at_ms": schedule.run_at_ms or 0,
        "delay_ms": schedule.delay_ms or 0,
        "ttl_ms": schedule.ttl_ms or 0,
        "deadline_ms": schedule.deadline_ms or 0,
        "idempotency": keys.idempotency(spec.tenant, job.idempotency_key) if job.idempotency_key else "",
        "fingerprint": job.fingerprint,
        "webhook": spec.about_webhook(),
        "alone": int(job.alone),
        **_copied(job),
    }


def _copied(job: Submission) -> dict[str, str | int]:
    """What `job_submit.lua` takes of a job that is forked."""
    origin = job.spec.forked_from
    return {
        "origin": origin.job_id if origin else "",
        "records": origin.records if origin else 0,
        "with_mail": int(job.with_mail),
        "message": ids.new_message_id() if job.message else "",
        "content": json.dumps(job.message, ensure_ascii=False) if job.message else "",
    }


def _held(answer: str, job_id: str) -> Status:
    if answer == "lost":
        raise LeaseLost(job_id)
    return Status(answer)


def json_bytes(fields: dict[str, Any]) -> bytes:
    """arq's serializer here, in place of its pickle."""
    return to_json(fields)
