"""`/v1/actions` and `/v1/jobs/{id}/actions/{id}`: what waits for a person, and what he says to it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from api.access import ReaderOf, SubmitterOf
from api.action_schemas import ActionList, ActionResource, DecisionRequest, action_resource
from api.body import read_json
from api.cursors import check_cursors
from api.documents import BODY, answer, errors, json_body
from api.json_schema import first_complaints
from api.parsed_body import parsed
from api.parts import Parts, PartsOf
from api.problems import Code, FieldError, Problem, invalid
from api.strict_route import StrictRoute
from shared import ids
from shared.action import ANSWERS, Action, ActionStatus, Answer, Decision
from shared.actions import Taken

router = APIRouter(prefix="/v1", tags=["actions"], route_class=StrictRoute)

_AN_ACTION: dict[str, Any] = {"pattern": ids.ACTION_ID_PATTERN}
_CLOSED = {
    ActionStatus.DECIDED: "It was decided before:",
    ActionStatus.EXPIRED: "Nobody decided in time:",
    ActionStatus.WITHDRAWN: "The job ended before anybody decided:",
}


@router.get(
    "/actions",
    operation_id="list_actions",
    response_model=ActionList,
    responses=errors(Code.BAD_CURSOR) | {200: answer("The page.", "action_list")},
    summary="List what waits for a person",
)
async def list_actions(
    parts: PartsOf,
    tenant: ReaderOf,
    status: Annotated[
        Literal["pending"], Query(description="Those that are decided are told by the job's turns and events")
    ] = "pending",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(description="The last_id of the page before: older actions", json_schema_extra=_AN_ACTION)
    ] = None,
    before: Annotated[
        str | None,
        Query(description="The first_id of the page after: newer ones. Not with after", json_schema_extra=_AN_ACTION),
    ] = None,
) -> Response:
    """Questions of all your jobs to a person, newest first."""
    check_cursors(ids.is_action_id, "an action", after, before)
    page = await parts.actions.inbox(tenant, limit=limit, after=after, before=before)
    found = [action.asked.id for action in page.actions]
    return _json(
        {
            "object": "list",
            "data": [action_resource(action) for action in page.actions],
            "has_more": page.has_more,
            "first_id": found[0] if found else None,
            "last_id": found[-1] if found else None,
        }
    )


@router.post(
    "/jobs/{job_id}/actions/{action_id}",
    operation_id="decide_action",
    response_model=ActionResource,
    responses=errors(*BODY, Code.NOT_FOUND, Code.ALREADY_DECIDED)
    | {200: answer("The action as it is decided.", "approved", "edited")},
    openapi_extra=json_body(DecisionRequest, "approve", "edit", "done", "not_done"),
    summary="Decide about a tool call",
)
async def decide(request: Request, job_id: str, action_id: str, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """The first decision counts; after that, and once it has expired or the job has ended, it is 409 `already_decided`.
    When the last of a job's actions is decided the job goes on, at its old place and on any worker."""
    action = await _find(parts, job_id, action_id, tenant)
    body = await read_json(request, max_bytes=parts.settings.api.max_body_bytes)
    wish = parsed(DecisionRequest, body)
    if action.status != ActionStatus.PENDING:
        raise _closed(action)
    answer = _fitting(wish, action)
    if await parts.actions.decide(action.asked, answer, tenant=tenant) == Taken.CLOSED:  # somebody was quicker
        raise _closed(await _find(parts, job_id, action_id, tenant))
    return _json(action_resource(await _find(parts, job_id, action_id, tenant)))


def _fitting(wish: DecisionRequest, action: Action) -> Answer:
    """The answer that is meant. Raises Problem 422 for one that the question does not take."""
    decision, allowed = Decision(wish.decision), ANSWERS[action.asked.kind]
    if decision not in allowed:
        detail = f"must be one of {', '.join(allowed)}, since the action is an {action.asked.kind}"
        raise invalid(FieldError(pointer="#/decision", detail=detail))
    wrong = [] if wish.input is None else first_complaints(wish.input, action.asked.input_schema)
    if wrong:
        raise invalid(*(FieldError(pointer=f"#/input{at}", detail=said) for at, said in wrong))
    return Answer(decision, wish.input, wish.comment, wish.result)


async def _find(parts: Parts, job_id: str, action_id: str, tenant: str) -> Action:
    """Raises Problem 404, for another tenant's, too."""
    named = ids.may_name_a_job(job_id) and ids.is_action_id(action_id)
    action = await parts.actions.find(job_id, action_id, tenant=tenant) if named else None
    if action is None:
        raise Problem(Code.NOT_FOUND, "There is no such action; its job may have been deleted or removed.")
    return action


def _closed(action: Action) -> Problem:
    resource = action_resource(action)
    said = f"{_CLOSED.get(action.status, 'It is closed:')} {resource['decision']} at {resource['decided_at']}."
    return Problem(Code.ALREADY_DECIDED, said)


def _json(value: object) -> Response:
    return Response(to_json(value), media_type="application/json")
