"""`/v1/jobs/{id}/turns`: how a job came to its result."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from api.access import ReaderOf
from api.documents import answer, errors
from api.exchange import all_of
from api.parts import PartsOf
from api.presenter import matches, weak_tag
from api.problems import Code, no_such_job
from api.strict_route import StrictRoute
from api.turn_presenter import turn_list
from api.turn_schemas import LARGEST_TURN, MOST_TURNS, TurnList
from shared import ids

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)


@router.get(
    "/{job_id}/turns",
    operation_id="read_job_turns",
    response_model=TurnList,
    responses=errors(Code.NOT_FOUND)
    | {
        200: answer("The turns so far.", "turn_list", headers=("ETag",)),
        304: answer("Nothing changed since the revision in If-None-Match.", headers=("ETag",)),
    },
    summary="Read a job's turns",
)
async def turns(
    request: Request,
    job_id: str,
    parts: PartsOf,
    tenant: ReaderOf,
    limit: Annotated[int, Query(ge=1, le=MOST_TURNS)] = MOST_TURNS,
    after: Annotated[int, Query(ge=0, le=LARGEST_TURN, description="The last_id of the page before: later turns")] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Each answer of the model with its usage and cost, who served it, and what became of each tool call, oldest
    first; and each call that broke off, which was paid for, too. While a job runs these are its turns so far; with
    `has_more` go on after `last_id`. The tag is that of the job, whose every change is told there."""
    journal = await parts.inspector.journal(job_id, tenant=tenant) if ids.may_name_a_job(job_id) else None
    if journal is None:
        raise no_such_job()
    headers = {"ETag": weak_tag(journal.revision)}
    if matches(all_of(request, "if-none-match"), journal.revision):
        return Response(status_code=304, headers=headers)
    return Response(
        to_json(turn_list(job_id, journal, limit=limit, after=after)), headers=headers, media_type="application/json"
    )
