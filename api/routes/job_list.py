"""`GET /v1/jobs`: a tenant's jobs, page by page."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic_core import to_json
from starlette.responses import Response

from api import presenter
from api.access import ReaderOf
from api.cursors import check_cursors
from api.documents import answer, errors
from api.parts import PartsOf
from api.problems import Code, FieldError, invalid
from api.schemas import JobList
from api.strict_route import StrictRoute
from shared import clock, ids
from shared.inspector import JobFilter, Sighting
from shared.pace import Pace
from shared.states import Status

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)

_NOT_ASKED = Pace(0, 0, 0, None, 0)
"""In a list: places in the queue are told by the jobs themselves, one round trip each."""
_MOMENT = Query(examples=["2026-01-31T12:00:00Z"], json_schema_extra={"format": "date-time"})
_A_JOB: dict[str, Any] = {"pattern": ids.JOB_ID_PATTERN}


@router.get(
    "",
    operation_id="list_jobs",
    response_model=JobList,
    responses=errors(Code.BAD_CURSOR) | {200: answer("The page.", "job_list")},
    summary="List jobs",
)
async def list_jobs(
    parts: PartsOf,
    tenant: ReaderOf,
    status: Annotated[Status | None, Query()] = None,
    agent: Annotated[str | None, Query(max_length=64)] = None,
    session_id: Annotated[str | None, Query(max_length=128)] = None,
    created_after: Annotated[str | None, _MOMENT] = None,
    created_before: Annotated[str | None, _MOMENT] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(description="The last_id of the page before: older jobs", json_schema_extra=_A_JOB)
    ] = None,
    before: Annotated[
        str | None,
        Query(description="The first_id of the page after: newer jobs. Not with after", json_schema_extra=_A_JOB),
    ] = None,
) -> Response:
    """Your jobs, newest first. A page may hold fewer than `limit` and yet have more: go on from `last_id`."""
    wanted = JobFilter(
        status,
        agent,
        session_id,
        _time("created_after", created_after),
        _time("created_before", created_before),
    )
    check_cursors(ids.is_job_id, "a job", after, before)
    page = await parts.inspector.jobs(tenant, wanted, limit=limit, after=after, before=before)
    data = [
        presenter.job_resource(Sighting(job, None, _NOT_ASKED), await parts.directory.estimate(job))
        for job in page.jobs
    ]
    body = {
        "object": "list",
        "data": data,
        "has_more": page.has_more,
        "first_id": (page.edge if before else None) or (page.jobs[0].id if page.jobs else None),
        "last_id": (None if before else page.edge) or (page.jobs[-1].id if page.jobs else None),
    }
    return Response(to_json(body), media_type="application/json")


def _time(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return clock.from_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise invalid(FieldError(pointer=f"?{name}", detail="is not a time such as 2026-01-31T12:00:00Z")) from error
