"""`/v1/jobs/{id}/messages`: what is said to a job while it has not ended."""

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from api.access import SubmitterOf
from api.body import read_json
from api.documents import BODY, answer, errors, json_body
from api.idempotency import KeyHeader, key_of
from api.lookup import find
from api.message_schemas import MessageRequest, MessageResource, message_resource
from api.parsed_body import parsed
from api.parts import PartsOf
from api.problems import Code, Problem, no_such_job
from api.strict_route import StrictRoute
from shared.mailbox import MailboxFull, Sent, TooLate
from shared.message import MOST_UNHEARD
from shared.states import Status

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)


@router.post(
    "/{job_id}/messages",
    operation_id="send_message",
    status_code=202,
    response_model=MessageResource,
    responses=errors(
        *BODY,
        Code.NOT_FOUND,
        Code.ALREADY_FINISHED,
        Code.HEARS_NO_MESSAGES,
        Code.MAILBOX_FULL,
        Code.IDEMPOTENCY_CONFLICT,
    )
    | {202: answer("It is kept, and will be heard.", "message", headers=("Idempotency-Replayed",))},
    openapi_extra=json_body(MessageRequest, "say"),
    summary="Say something to a job",
)
async def send(
    request: Request,
    job_id: str,
    parts: PartsOf,
    tenant: SubmitterOf,
    idempotency_key: KeyHeader = None,
) -> Response:
    """The agent hears it between two turns: behind the results of the tools that run now, or, when the model has just
    given its answer, in place of the job's end. A job that waits, for its turn or for a person, hears it when it goes
    on. One that a limit ends may end without; `/turns` tells when each message was heard. Custom agents hear none."""
    key = key_of(request, idempotency_key)
    sighting = await find(parts, job_id, tenant)
    wish = parsed(MessageRequest, await read_json(request, max_bytes=parts.settings.api.max_body_bytes))
    if await parts.directory.is_custom(sighting.job.spec.agent):
        raise Problem(
            Code.HEARS_NO_MESSAGES,
            f"{sighting.job.spec.agent} is a custom agent, whose own code says what its model is asked. Cancel the job "
            "and submit another one.",
        )
    match await parts.mailbox.send(job_id, wish.content, tenant=tenant, key=key or ""):
        case Sent(message, before):
            if message.content != wish.content:
                raise Problem(
                    Code.IDEMPOTENCY_CONFLICT,
                    f"This Idempotency-Key has sent {message.id} with another content; use a new key to say more.",
                )
            headers = {"Idempotency-Replayed": "true"} if before else {}
            return Response(to_json(message_resource(job_id, message)), 202, headers, media_type="application/json")
        case TooLate(status):
            again = "fork" if status == Status.SUCCEEDED else "retry"
            raise Problem(
                Code.ALREADY_FINISHED,
                f"The job is {status} and hears nothing any more. To go on from what it has done, {again} it: "
                f"POST /v1/jobs/{job_id}/{again}, with your message as `message`.",
            )
        case MailboxFull():
            raise Problem(
                Code.MAILBOX_FULL,
                f"{MOST_UNHEARD} messages wait for the job already; say more when it has heard them.",
            )
    raise no_such_job()  # deleted meanwhile
