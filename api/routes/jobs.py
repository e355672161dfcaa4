"""`/v1/jobs`: submit, read, cancel, delete."""

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from api import presenter, schemas
from api.access import ReaderOf, SubmitterOf
from api.admission import REFUSED, Repeated
from api.body import read_json
from api.documents import BODY, answer, errors, json_body
from api.exchange import all_of
from api.idempotency import KeyHeader, key_of
from api.lookup import find, made_before
from api.parts import Parts, PartsOf
from api.problems import Code, Problem, draining, no_such_job
from api.strict_route import StrictRoute
from shared import clock, ids
from shared.inspector import Sighting
from shared.job import Job
from shared.queue import Deletion
from shared.states import Status
from shared.tracing import current_traceparent

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)

LONGEST_WAIT_SECONDS = 60
_OF_A_SUBMIT = ("RateLimit", "RateLimit-Policy", "Idempotency-Replayed", "Preference-Applied")
_LINKS = {
    name: (operation, "job_id")
    for name, operation in (
        ("read", "read_job"),
        ("follow", "follow_job"),
        ("turns", "read_job_turns"),
        ("cancel", "cancel_job"),
        ("delete", "delete_job"),
    )
}
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?:$|[,;\s])")


@router.post(
    "",
    operation_id="submit_job",
    status_code=202,
    response_model=schemas.JobResource,
    responses=errors(*BODY, *REFUSED, Code.GONE)
    | {
        202: answer(
            "The job is written down.",
            "queued_job",
            headers=("Location", "ETag", "Retry-After", *_OF_A_SUBMIT),
            links=_LINKS,
        ),
        200: answer(
            "It ended within the time of `Prefer: wait`.",
            "finished_job",
            headers=("Location", "ETag", *_OF_A_SUBMIT),
            model=schemas.JobResource,
        ),
    },
    openapi_extra=json_body(schemas.JobRequest, "the_least", "most_of_it"),
    summary="Submit a job",
)
async def submit(
    request: Request,
    parts: PartsOf,
    tenant: SubmitterOf,
    idempotency_key: KeyHeader = None,
    prefer: Annotated[
        str | None,
        Header(
            description="wait=N: answer when the job has ended or waits for a person, after N seconds at most (60). "
            "What is no such wish is ignored.",
            examples=["wait=30"],
        ),
    ] = None,
) -> Response:
    """Takes the job and answers 202 once it cannot be lost any more; poll the address in `Location`.

    With `Prefer: wait=N` the answer is 200 when the job has ended in that time. It is 202 with the job as it is when
    the time is up, and before that when it is `requires_action`: it waits for you, and its `required_actions` say for
    what."""
    if parts.draining:
        raise draining()
    key = key_of(request, idempotency_key)
    body = await read_json(request, max_bytes=parts.settings.api.max_body_bytes)
    admitted = await parts.admission.submit(
        schemas.parse_job_request(body),
        body,
        tenant=tenant,
        idempotency_key=key,
        traceparent=current_traceparent(request.headers.get("traceparent")),
    )
    headers, submits_left = {}, None
    if isinstance(admitted, Repeated):
        sighting = await made_before(parts, admitted.job_id, tenant)
        headers["Idempotency-Replayed"] = "true"
    else:
        sighting = admitted.sighting
        submits_left = admitted.submits_left
    wish = prefer and _PREFER_WAIT.search(all_of(request, "prefer") or "")
    if wish:
        headers["Preference-Applied"] = f"wait={min(int(wish[1]), LONGEST_WAIT_SECONDS)}"
        sighting = await _until_it_rests(parts, sighting, tenant, min(int(wish[1]), LONGEST_WAIT_SECONDS))
    seconds = presenter.seconds_until_worth_asking(sighting)
    headers |= {"Location": f"/v1/jobs/{sighting.job.id}"}
    headers |= parts.admission.rate_limit_headers(tenant, sighting.pace.waiting, seconds, submits_left)
    return await _job_response(parts, sighting, status=200 if wish and sighting.job.finished else 202, headers=headers)


@router.get(
    "/{job_id}",
    operation_id="read_job",
    response_model=schemas.JobResource,
    responses=errors(Code.NOT_FOUND)
    | {
        200: answer(
            "The job. `Retry-After` is there until it has ended.",
            "finished_job",
            "queued_job",
            headers=("ETag", "Retry-After"),
        ),
        304: answer("Nothing changed since the revision in If-None-Match.", headers=("ETag", "Retry-After")),
    },
    summary="Read a job",
)
async def read(
    request: Request,
    job_id: str,
    parts: PartsOf,
    tenant: ReaderOf,
    wait: Annotated[
        float, Query(ge=0, description="Answer at the next change, after so many seconds at most (60)")
    ] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The job as it is now, or with `wait` as it is at its next change."""
    seconds = min(wait, LONGEST_WAIT_SECONDS)
    tags = all_of(request, "if-none-match")
    with parts.followers.follow(job_id) as change:
        sighting = await find(parts, job_id, tenant)
        seen = presenter.matches(tags, sighting.job.revision)
        if seconds and not sighting.job.finished and (seen or tags is None):
            sighting = await _next_change(parts, change, sighting, tenant, seconds)
    if presenter.matches(tags, sighting.job.revision):
        return Response(status_code=304, headers=_headers(sighting))
    return await _job_response(parts, sighting)


@router.post(
    "/{job_id}/cancel",
    operation_id="cancel_job",
    response_model=schemas.JobResource,
    responses=errors(Code.NOT_FOUND)
    | {
        200: answer("It has ended.", "cancelled_job", headers=("ETag",)),
        202: answer(
            "It runs; its worker has been told.",
            "cancelling_job",
            headers=("ETag", "Retry-After"),
            model=schemas.JobResource,
        ),
    },
    summary="Cancel a job",
)
async def cancel(job_id: str, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """A job that waits ends at once, one that runs within a second; a finished one stays as it is."""
    await find(parts, job_id, tenant)
    await parts.queue.cancel(job_id)
    sighting = await find(parts, job_id, tenant)
    return await _job_response(parts, sighting, status=202 if sighting.job.status == Status.CANCELLING else 200)


@router.delete(
    "/{job_id}",
    operation_id="delete_job",
    status_code=204,
    responses=errors(Code.NOT_FOUND, Code.NOT_FINISHED) | {204: answer("It is erased.")},
    summary="Delete a job",
)
async def delete(job_id: str, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """Erases a finished job at once, in place of when its retention ends: input, output, metadata, turns, events,
    actions, messages and notes. Its session does not remember it any more, and its webhook deliveries keep that
    something was told, when and to which address, but not what callers and agents have said: one that is still to be
    sent goes out with an empty `metadata`, without `session_id` and without `output`.

    What stays: what its agent has written down for the session, which belongs to the session; jobs that were forked
    from it, which are jobs of their own; what it cost, in sums; and its id with its Idempotency-Key, which makes no
    other job: a repeat is answered 410."""
    if not ids.may_name_a_job(job_id):
        raise no_such_job()
    match await parts.queue.delete(job_id, tenant=tenant):
        case Deletion.UNKNOWN:
            raise no_such_job()
        case Deletion.UNFINISHED:
            raise Problem(Code.NOT_FINISHED, "The job has not finished: cancel it first, or wait until it has ended.")
    return Response(status_code=204)


async def _next_change(parts: Parts, change: asyncio.Event, seen: Sighting, tenant: str, seconds: float) -> Sighting:
    """The job once its revision is another one, or as it is when the time is up."""
    deadline = clock.monotonic() + seconds
    sighting = seen
    while sighting.job.revision == seen.job.revision and not parts.followers.closed:
        left = deadline - clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await change.wait()
        except TimeoutError:
            return await find(parts, seen.job.id, tenant)
        change.clear()
        sighting = await find(parts, seen.job.id, tenant)
    return sighting


async def _until_it_rests(parts: Parts, sighting: Sighting, tenant: str, seconds: float) -> Sighting:
    """The job once it has ended or waits for a person, or as it is when the time is up."""
    deadline = clock.monotonic() + seconds
    with parts.followers.follow(sighting.job.id) as change:
        sighting = await find(parts, sighting.job.id, tenant)
        while not (_rests(sighting.job) or parts.followers.closed):
            left = deadline - clock.monotonic()
            if left <= 0:
                break
            sighting = await _next_change(parts, change, sighting, tenant, left)
    return sighting


def _rests(job: Job) -> bool:
    return job.finished or job.status == Status.REQUIRES_ACTION


def _headers(sighting: Sighting) -> dict[str, str]:
    headers = {"ETag": presenter.weak_tag(sighting.job.revision)}
    if not sighting.job.finished:
        headers["Retry-After"] = str(presenter.seconds_until_worth_asking(sighting))
    return headers


async def _job_response(
    parts: Parts, sighting: Sighting, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    job = presenter.job_resource(sighting, await parts.directory.estimate(sighting.job))
    return _json(job, status, _headers(sighting) | (headers or {}))


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(value), status, headers, media_type="application/json")
