"""`/v1/jobs`: submit, read, list, cancel, delete."""

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from api import presenter, schemas
from api.access import ReaderOf, SubmitterOf
from api.admission import KEY_HEADER, Repeated
from api.body import read_json
from api.documents import errors, json_body
from api.exchange import all_of
from api.lookup import find, made_before, no_such_job
from api.parts import Parts, PartsOf
from api.problems import Code, FieldError, Problem, invalid
from api.strict_route import StrictRoute
from shared import clock, ids
from shared.inspector import JobFilter, Sighting
from shared.pace import Pace
from shared.queue import Deletion
from shared.states import Status
from shared.tracing import current_traceparent

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)

LONGEST_WAIT_SECONDS = 60
_NOT_ASKED = Pace(0, 0, 0, None, 0)
"""In a list: places in the queue are told by the jobs themselves, one round trip each."""
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?:$|[,;\s])")


@router.post(
    "",
    status_code=202,
    response_model=schemas.JobResource,
    responses=errors(400, 401, 403, 408, 410, 413, 415, 422, 429, 503)
    | {200: {"model": schemas.JobResource, "description": "It ended within the time of Prefer: wait."}},
    openapi_extra=json_body(schemas.JobRequest),
    summary="Submit a job",
)
async def submit(
    request: Request,
    parts: PartsOf,
    tenant: SubmitterOf,
    idempotency_key: Annotated[str | None, Header(description="1-255 of A-Z a-z 0-9 _ . : -")] = None,
    prefer: Annotated[
        str | None, Header(description="wait=N: answer when the job ended, after N seconds at most")
    ] = None,
) -> Response:
    """Takes the job and answers 202 once it cannot be lost any more; poll the address in `Location`."""
    if parts.draining:
        raise Problem(Code.DRAINING, "This server is about to stop; send it again.", headers={"Retry-After": "1"})
    if len(request.headers.getlist(KEY_HEADER)) > 1:
        raise invalid(FieldError(pointer=KEY_HEADER, detail="is given more than once"))
    body = await read_json(request, max_bytes=parts.settings.api.max_body_bytes)
    admitted = await parts.admission.submit(
        schemas.parse_job_request(body),
        body,
        tenant=tenant,
        idempotency_key=idempotency_key,
        traceparent=current_traceparent(request.headers.get("traceparent")),
    )
    headers, submits_left = {}, None
    if isinstance(admitted, Repeated):
        sighting = await made_before(parts, admitted.job_id, tenant)
        headers["Idempotency-Replayed"] = "true"
    else:
        sighting = admitted.sighting
        submits_left = admitted.submits_left
    wish = _PREFER_WAIT.search(all_of(request, "prefer") or "")
    if wish:
        headers["Preference-Applied"] = f"wait={min(int(wish[1]), LONGEST_WAIT_SECONDS)}"
        sighting = await _until_finished(parts, sighting, tenant, min(int(wish[1]), LONGEST_WAIT_SECONDS))
    seconds = presenter.seconds_until_worth_asking(sighting)
    headers |= {"Location": f"/v1/jobs/{sighting.job.id}"}
    headers |= parts.admission.rate_limit_headers(tenant, sighting.pace.waiting, seconds, submits_left)
    return _job_response(sighting, status=200 if wish and sighting.job.finished else 202, headers=headers)


@router.get(
    "/{job_id}",
    response_model=schemas.JobResource,
    responses=errors(401, 403, 404, 422, 503)
    | {304: {"description": "Nothing changed since the revision in If-None-Match."}},
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
    return _job_response(sighting)


@router.get("", response_model=schemas.JobList, responses=errors(400, 401, 403, 422, 503), summary="List jobs")
async def list_jobs(
    parts: PartsOf,
    tenant: ReaderOf,
    status: Annotated[Status | None, Query()] = None,
    agent: Annotated[str | None, Query(max_length=64)] = None,
    session_id: Annotated[str | None, Query(max_length=128)] = None,
    created_after: Annotated[str | None, Query(examples=["2026-01-31T12:00:00Z"])] = None,
    created_before: Annotated[str | None, Query(examples=["2026-01-31T12:00:00Z"])] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(description="The last_id of the page before: older jobs")] = None,
    before: Annotated[str | None, Query(description="The first_id of the page after: newer jobs")] = None,
) -> Response:
    """Your jobs, newest first. A page may hold fewer than `limit` and yet have more: go on from `last_id`."""
    wanted = JobFilter(
        status,
        agent,
        session_id,
        _time("created_after", created_after),
        _time("created_before", created_before),
    )
    if after is not None and before is not None:
        raise invalid(FieldError(pointer="?before", detail="cannot be used together with after"))
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and not ids.is_job_id(cursor):
            pointer = FieldError(pointer=f"?{name}", detail="is not the id of a job")
            raise Problem(Code.BAD_CURSOR, f"{name} takes the id of a job, such as last_id.", errors=[pointer])
    page = await parts.inspector.jobs(tenant, wanted, limit=limit, after=after, before=before)
    data = [presenter.job_resource(Sighting(job, None, _NOT_ASKED)) for job in page.jobs]
    return _json(
        {
            "object": "list",
            "data": data,
            "has_more": page.has_more,
            "first_id": (page.edge if before else None) or (page.jobs[0].id if page.jobs else None),
            "last_id": (None if before else page.edge) or (page.jobs[-1].id if page.jobs else None),
        }
    )


@router.post(
    "/{job_id}/cancel",
    response_model=schemas.JobResource,
    responses=errors(401, 403, 404, 422, 503)
    | {202: {"model": schemas.JobResource, "description": "It runs; its worker has been told."}},
    summary="Cancel a job",
)
async def cancel(job_id: str, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """A job that waits ends at once, one that runs within a second; a finished one stays as it is."""
    await find(parts, job_id, tenant)
    await parts.queue.cancel(job_id)
    sighting = await find(parts, job_id, tenant)
    return _job_response(sighting, status=202 if sighting.job.status == Status.CANCELLING else 200)


@router.delete("/{job_id}", status_code=204, responses=errors(401, 403, 404, 409, 422, 503), summary="Delete a job")
async def delete(job_id: str, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """Erases a finished job at once: input, output, turns, events and notes, in place of when its retention ends. Its
    Idempotency-Key makes no other job: a repeat is answered 410. What its agent has written down for the session
    belongs to the session and stays."""
    if not ids.may_name_a_job(job_id):
        raise no_such_job()
    match await parts.queue.delete(job_id, tenant=tenant):
        case Deletion.UNKNOWN:
            raise no_such_job()
        case Deletion.UNFINISHED:
            raise Problem(Code.NOT_FINISHED, "The job has not finished; cancel it first.")
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


async def _until_finished(parts: Parts, sighting: Sighting, tenant: str, seconds: float) -> Sighting:
    deadline = clock.monotonic() + seconds
    with parts.followers.follow(sighting.job.id) as change:
        sighting = await find(parts, sighting.job.id, tenant)
        while not sighting.job.finished and not parts.followers.closed:
            left = deadline - clock.monotonic()
            if left <= 0:
                break
            sighting = await _next_change(parts, change, sighting, tenant, left)
    return sighting


def _time(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return clock.from_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise invalid(FieldError(pointer=f"?{name}", detail="is not a time such as 2026-01-31T12:00:00Z")) from error


def _headers(sighting: Sighting) -> dict[str, str]:
    headers = {"ETag": presenter.weak_tag(sighting.job.revision)}
    if not sighting.job.finished:
        headers["Retry-After"] = str(presenter.seconds_until_worth_asking(sighting))
    return headers


def _job_response(sighting: Sighting, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return _json(presenter.job_resource(sighting), status, _headers(sighting) | (headers or {}))


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(value), status, headers, media_type="application/json")
