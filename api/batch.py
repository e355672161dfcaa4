"""Many jobs in one request: each judged as if it had come alone, or all of them together."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from api.admission import Repeated
from api.batch_schemas import BatchJobRequest
from api.exchange import store_unavailable
from api.idempotency import KEY_HEADER
from api.lookup import made_before
from api.parsed_body import MOST_ERRORS, parsed
from api.parts import Parts
from api.problems import Code, FieldError, Problem
from shared.errors import StoreUnavailable
from shared.inspector import Sighting
from shared.queue import MOST_AT_ONCE
from shared.submission import KeyConflict, Outcome, QueueFull, SessionBusy, Submission, Withheld


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that is in; `replayed` when its key had made it before."""

    sighting: Sighting
    replayed: bool


Result = Taken | Problem
"""What became of one job of a batch."""


class Batch:
    """The jobs of one request, of one tenant."""

    def __init__(self, parts: Parts, tenant: str, traceparent: str | None) -> None:
        self._parts = parts
        self._tenant = tenant
        self._traceparent = traceparent

    async def submit(self, bodies: Sequence[Any], *, together: bool) -> list[Result]:
        """One result for each. Raises Problem for what concerns all of them; `together` that is also what one has."""
        checked = [await self._check(index, body) for index, body in enumerate(bodies)]
        if together and (wrong := _problems(checked)):
            raise _one_of(wrong)
        jobs = {index: one for index, one in enumerate(checked) if isinstance(one, Submission)}
        answers = await (self._all_together(jobs) if together else self._one_by_one(jobs))
        results = await asyncio.gather(
            *(
                self._result(index, one, answers[index]) if isinstance(one, Submission) else _itself(one)
                for index, one in enumerate(checked)
            )
        )
        if together and any(isinstance(answer, KeyConflict | SessionBusy | QueueFull) for answer in answers.values()):
            raise _one_of(_problems(results))
        return results

    async def _check(self, index: int, body: Any) -> Submission | Problem:
        if index % MOST_AT_ONCE == 0:
            await asyncio.sleep(0)  # a thousand checks take a while: others have their turn between
        try:
            self._check_size(body)
            request = parsed(BatchJobRequest, body)
            return await self._parts.admission.check(
                request,
                {name: value for name, value in body.items() if name != "idempotency_key"},
                tenant=self._tenant,
                idempotency_key=request.idempotency_key,
                traceparent=self._traceparent,
            )
        except Problem as problem:
            if problem.status == 503:  # nothing that this job could help
                raise
            return _of_job(problem, index)

    def _check_size(self, body: Any) -> None:
        most = self._parts.settings.api.max_body_bytes
        if len(to_json(body)) > most:
            raise Problem(Code.BODY_TOO_LARGE, f"A job may have {most} bytes at most.")

    async def _all_together(self, jobs: Mapping[int, Submission]) -> dict[int, Outcome | Problem]:
        answers = await self._parts.admission.ask(list(jobs.values()), together=True)
        return dict(zip(jobs, answers, strict=True))

    async def _one_by_one(self, jobs: Mapping[int, Submission]) -> dict[int, Outcome | Problem]:
        """In calls of some, so that Redis has time for others. When it goes away in the middle, those that were taken
        must be told, so the rest has problems then."""
        indexes, answers = list(jobs), dict[int, Outcome | Problem]()
        for first in range(0, len(indexes), MOST_AT_ONCE):
            some = indexes[first : first + MOST_AT_ONCE]
            try:
                told = await self._parts.admission.ask([jobs[index] for index in some])
                answers |= zip(some, told, strict=True)
            except StoreUnavailable:
                if not answers:
                    raise
                return answers | {index: _of_job(store_unavailable(), index) for index in indexes[first:]}
        return answers

    async def _result(self, index: int, job: Submission, answer: Outcome | Problem) -> Result:
        if isinstance(answer, Problem):
            return answer
        if isinstance(answer, Withheld):
            return _WITHHELD
        try:
            admitted = self._parts.admission.let_in(job, answer)
            if isinstance(admitted, Repeated):
                return Taken(await made_before(self._parts, admitted.job_id, self._tenant), replayed=True)
            return Taken(admitted.sighting, replayed=False)
        except Problem as problem:
            return _of_job(problem, index)
        except StoreUnavailable:
            return _of_job(store_unavailable(), index)


_WITHHELD = Problem(Code.INVALID_REQUEST, "Another job of this batch was not taken.")


async def _itself(problem: Problem) -> Problem:
    return problem


def _problems(results: Sequence[object]) -> list[Problem]:
    return [one for one in results if isinstance(one, Problem) and one is not _WITHHELD]


def _of_job(problem: Problem, index: int) -> Problem:
    """The same problem, with its pointers from the root of the batch."""
    at = f"#/jobs/{index}"
    errors = [
        FieldError(
            pointer=f"{at}/idempotency_key" if one.pointer == KEY_HEADER else at + one.pointer.removeprefix("#"),
            detail=one.detail,
        )
        for one in problem.errors
    ] or [FieldError(pointer=at, detail=problem.detail)]
    return Problem(problem.code, problem.detail, errors=errors, headers=problem.headers, status=problem.status)


def _one_of(problems: Sequence[Problem]) -> Problem:
    """What is said of all together: the first problem, with what is wrong with the others of its kind."""
    first = problems[0]
    errors = [error for one in problems if one.code == first.code for error in one.errors]
    return Problem(
        first.code,
        f"No job was taken. {first.detail}",
        errors=errors[:MOST_ERRORS],
        headers=first.headers,
        status=first.status,
    )
