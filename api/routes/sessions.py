"""`/v1/sessions/{id}`: what the jobs of a conversation know of each other."""

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.responses import Response

from api.access import ReaderOf, SubmitterOf
from api.documents import answer, errors
from api.parts import PartsOf
from api.problems import Code, Problem
from api.session_schemas import SessionResource, session_resource
from api.strict_route import StrictRoute
from shared import ids
from shared.sessions import Forgetting

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], route_class=StrictRoute)


@router.get(
    "/{session_id}",
    operation_id="read_session",
    response_model=SessionResource,
    responses=errors(Code.NOT_FOUND) | {200: answer("The session as it stands.", "session")},
    summary="Read a session",
)
async def read(session_id: str, parts: PartsOf, tenant: ReaderOf) -> Response:
    """What is remembered, and who is at it. A session begins with its first job and is forgotten some time after its
    last (`sessions.idle_seconds`); to read it is no use of it."""
    session = await parts.sessions.read(tenant, session_id) if ids.may_name_a_session(session_id) else None
    if session is None:
        raise _no_such_session()
    return Response(to_json(session_resource(session_id, session)), media_type="application/json")


@router.delete(
    "/{session_id}",
    operation_id="delete_session",
    status_code=204,
    responses=errors(Code.NOT_FOUND, Code.SESSION_BUSY) | {204: answer("It is forgotten.")},
    summary="Delete a session",
)
async def delete(session_id: str, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """Forgets at once what is remembered, and what agents have noted down. The next job of this session begins anew;
    jobs that have ended stay, until they are deleted or their retention is over."""
    if not ids.may_name_a_session(session_id):
        raise _no_such_session()
    match await parts.sessions.forget(tenant, session_id):
        case Forgetting.UNKNOWN, _:
            raise _no_such_session()
        case Forgetting.BUSY, live:
            detail = f"{live} of this session has not finished. Cancel it and those that wait for it, or wait for them"
            raise Problem(Code.SESSION_BUSY, f"{detail}; then delete the session.")
    return Response(status_code=204)


def _no_such_session() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such session; it may have been deleted, or forgotten when it was idle.")
