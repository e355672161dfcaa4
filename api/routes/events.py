"""`/v1/jobs/{id}/events`: what happens to a job, as a list or as it happens."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.access import ReaderOf
from api.documents import answer, errors, example_references
from api.event_schemas import STREAM_EXAMPLE, EventList, event_resource
from api.event_stream import EventStream
from api.parts import PartsOf
from api.problems import Code, FieldError, Problem, draining, no_such_job
from api.strict_route import StrictRoute
from shared import ids
from shared.event_log import MOST_AT_ONCE

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)

_STREAM = "text/event-stream"
_WANTS_STREAM = re.compile(rf"(?:^|,)\s*{_STREAM}\s*(?:;(?!\s*q=0(?:\.0*)?\s*(?:,|$))|,|$)", re.IGNORECASE)
_LARGEST = 10**15
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": EventList,
        "description": f"A list, or with `Accept: {_STREAM}` a stream that goes on until the job's last event: a "
        "comment `: ping` every 15 seconds of silence, `retry` says when to come again.",
        "content": {
            "application/json": {"examples": example_references("event_list")},
            _STREAM: {"schema": {"type": "string"}, "example": STREAM_EXAMPLE},
        },
    },
    204: answer("The job has ended, and the cursor is at its last event: there is nothing to come."),
}


@router.get(
    "/{job_id}/events",
    operation_id="follow_job",
    response_model=EventList,
    responses=_ANSWERS | errors(Code.BAD_CURSOR, Code.NOT_FOUND, Code.DRAINING, Code.TOO_MANY_STREAMS),
    summary="Follow a job",
)
async def events(
    job_id: str,
    parts: PartsOf,
    tenant: ReaderOf,
    starting_after: Annotated[int, Query(ge=0, le=_LARGEST, description="The id of the last event you have")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE, description="Of a list; a stream has no end")] = 100,
    last_event_id: Annotated[
        str | None,
        Header(
            description="The same as starting_after, and goes before it: browsers send it by themselves",
            json_schema_extra={"pattern": "^[0-9]{1,15}$"},
        ),
    ] = None,
    accept: Annotated[str, Header(description=f"{_STREAM} for a stream")] = "",
) -> Response:
    """Each change of status, the turns, text as it comes (ten times a second at most), tool calls. Kept as long as the
    job. A `turn.restarted` takes back the text of that turn. When a stream breaks off, come again with the last id."""
    after = starting_after if last_event_id is None else _cursor(last_event_id)
    as_stream = _WANTS_STREAM.search(accept) is not None
    if as_stream:
        _make_sure_of_room(parts)
    most = 1 if as_stream else limit
    page = None
    if ids.may_name_a_job(job_id):
        page = await parts.events.read(job_id, tenant=tenant, after=after, most=most)
    if page is None:
        raise no_such_job()
    if page.complete and not page.events:
        return Response(status_code=204)
    if as_stream:
        return EventStream(parts.streams, job_id, tenant, page.after)
    data = [event_resource(job_id, event) for event in page.events]
    edges = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    body = {"object": "list", "data": data, "has_more": page.has_more} | edges
    return Response(to_json(body), media_type="application/json")


def _cursor(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text[:20]) <= _LARGEST:
        return int(text[:20])
    pointer = FieldError(pointer="Last-Event-ID", detail="is not the id of an event")
    raise Problem(Code.BAD_CURSOR, "Last-Event-ID takes the id of the last event you have.", errors=[pointer])


def _make_sure_of_room(parts: PartsOf) -> None:
    if parts.draining:
        raise draining("This server is about to stop; come again.")
    if parts.streams.full:
        detail = "This server has as many streams open as it may; come again, or read the list."
        raise Problem(Code.TOO_MANY_STREAMS, detail, headers={"Retry-After": "5"})
