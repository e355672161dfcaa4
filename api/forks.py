"""Forks: new jobs that begin with what an old one has done. What was bought is not bought again."""

from dataclasses import replace
from typing import Any

from api.admission import Admission, Admitted, Repeated, budget_of, fingerprint
from api.directory import AgentDirectory
from api.fork_point import turns_of, until_end, until_turn
from api.fork_schemas import ForkRequest, RetryRequest
from api.problems import Code, FieldError, Problem, invalid, no_such_job
from shared import ids
from shared.catalogue import AgentEntry
from shared.inspector import Inspector, Journal
from shared.job import Budget, Job, Schedule
from shared.origin import Origin
from shared.states import FINISHED, Status
from shared.submission import Submission


class Forks:
    def __init__(self, inspector: Inspector, directory: AgentDirectory, admission: Admission) -> None:
        self._inspector = inspector
        self._directory = directory
        self._admission = admission

    async def fork(
        self, job: Job, wish: ForkRequest, body: Any, *, idempotency_key: str | None, traceparent: str | None
    ) -> Admitted | Repeated:
        """A job with the first turns of this one. Raises the Problem that says why not."""
        journal = await self._journal(job)
        turns = turns_of(journal.records)
        if wish.from_turn > turns:
            most = f"must be at most {turns}: there is no later turn"
            detail = most if turns else "the job has no turn to go on from: submit it again"
            raise invalid(FieldError(pointer="#/from_turn", detail=detail))
        if wish.from_turn == turns and journal.status not in FINISHED:
            raise Problem(
                Code.NOT_FINISHED,
                f"Turn {turns} may still be under way. Fork it from an earlier one, or wait until the job has ended.",
            )
        kept = until_turn(journal.records, wish.from_turn)
        origin = Origin.of(
            job.id,
            job.spec.forked_from,
            turn=wish.from_turn,
            records=kept,
            goes_on=kept == len(journal.records),
        )
        return await self._submit(job, origin, wish, ["fork", job.id, body], idempotency_key, traceparent)

    async def retry(
        self, job: Job, wish: RetryRequest, body: Any, *, idempotency_key: str | None, traceparent: str | None
    ) -> Admitted | Repeated:
        """A job that goes on where this one has ended. Raises the Problem that says why not."""
        if not job.finished:
            raise Problem(Code.NOT_FINISHED, "The job has not finished: wait until it has ended, or cancel it first.")
        if job.status == Status.SUCCEEDED:
            raise Problem(
                Code.ALREADY_SUCCEEDED,
                f"The job has succeeded. To have it done differently, fork it: POST /v1/jobs/{job.id}/fork.",
            )
        journal = await self._journal(job)
        kept = until_end(journal.records)
        origin = Origin.of(
            job.id,
            job.spec.forked_from,
            turn=turns_of(journal.records[:kept]),
            records=kept,
            goes_on=True,
        )
        said = ["retry", job.id, body]
        return await self._submit(job, origin, wish, said, idempotency_key, traceparent, with_mail=True)

    async def _journal(self, job: Job) -> Journal:
        journal = await self._inspector.journal(job.id, tenant=job.spec.tenant)
        if journal is None:  # deleted meanwhile
            raise no_such_job()
        return journal

    async def _submit(
        self,
        job: Job,
        origin: Origin,
        wish: RetryRequest,
        said: Any,
        idempotency_key: str | None,
        traceparent: str | None,
        *,
        with_mail: bool = False,
    ) -> Admitted | Repeated:
        agent = await self._directory.find(job.spec.agent, job.spec.tenant)
        if wish.message is not None and agent.kind == "custom":
            raise Problem(
                Code.HEARS_NO_MESSAGES,
                f"{agent.name} is a custom agent, whose own code says what its model is asked. Leave out `message`.",
            )
        spec = replace(
            job.spec,
            chain=agent.chain,
            budget=_budget(wish, agent, job.spec.budget),
            metadata=job.spec.metadata if wish.metadata is None else wish.metadata,
            traceparent=traceparent,
            schedule=Schedule(),
            forked_from=origin,
        )
        return await self._admission.take(
            Submission(
                ids.new_job_id(),
                spec,
                idempotency_key,
                fingerprint(said) if idempotency_key else "",
                message=wish.message or "",
                with_mail=with_mail,
            )
        )


def _budget(wish: RetryRequest, agent: AgentEntry, before: Budget) -> Budget:
    """The limits that the old job had, but for those that are wished otherwise. Raises Problem."""
    limits = budget_of(wish.budget, agent)
    asked = {
        "max_turns": wish.budget.max_turns,
        "max_tokens": wish.budget.max_tokens,
        "max_cost_nano": wish.budget.max_cost_usd,
        "max_seconds": wish.budget.max_seconds,
    }
    return replace(before, **{name: getattr(limits, name) for name, wished in asked.items() if wished is not None})
