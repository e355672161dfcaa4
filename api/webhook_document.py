"""What receivers are sent, as the OpenAPI document tells it (`webhooks`, OpenAPI 3.1)."""

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from api.documents import header_references
from api.examples.actions import ACTION, ACTION_ID
from api.examples.jobs import JOB_ID, USAGE
from api.examples.webhooks import DELIVERY_ID, ENDPOINT_ID
from api.schemas import UsageResource
from api.webhook_schemas import EventName
from shared.action import ActionKind
from shared.states import Status

_AT = "2026-01-31T12:00:28.900Z"
_JOB: dict[str, Any] = {
    "id": JOB_ID,
    "object": "job",
    "status": "succeeded",
    "agent": "assistant",
    "session_id": None,
    "metadata": {"order": "17"},
    "usage": USAGE,
    "revision": 4,
}


class WebhookAction(BaseModel):
    """A question to a person, to be decided at `POST /v1/jobs/{job_id}/actions/{action_id}`."""

    id: str = Field(examples=[ACTION_ID])
    kind: ActionKind
    turn: int
    tool_call_id: str
    tool: str
    expires_at: str


class WebhookJob(BaseModel):
    """The job as it was when this happened. Of two events of a job the one with the higher `revision` is the later."""

    id: str = Field(examples=[JOB_ID])
    object: Literal["job"]
    status: Status
    agent: str
    session_id: str | None = Field(description="null for one without, and once the job has been deleted.")
    metadata: dict[str, str] = Field(description="Empty once the job has been deleted.")
    usage: UsageResource
    revision: int
    required_actions: list[WebhookAction] | None = Field(
        default=None,
        description="What a person is to decide, when it waits for one, until it is deleted. What is in the calls is "
        "in the job.",
    )
    output: str | None = Field(
        default=None,
        description="There once the job has ended, when it has 20 KB at most; null when the job has none. When it is "
        "missing, read it from `GET /v1/jobs/{job_id}`.",
    )


class WebhookEvent(BaseModel):
    """Something that happened to a job."""

    type: EventName
    timestamp: str = Field(description="When it happened.", examples=[_AT])
    data: WebhookJob


class WebhookTestData(BaseModel):
    id: str = Field(examples=[ENDPOINT_ID])
    object: Literal["webhook_endpoint"]


class WebhookTestEvent(BaseModel):
    """What `POST /v1/webhook_endpoints/{endpoint_id}/test` sends."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "webhook.test", "timestamp": _AT, "data": {"id": ENDPOINT_ID, "object": "webhook_endpoint"}}
            ]
        }
    )

    type: Literal["webhook.test"]
    timestamp: str
    data: WebhookTestData


MODELS = (WebhookEvent, WebhookTestEvent)

_SAID = {
    "job.started": "A job runs for the first time. Told only to those who ask for it in `events`.",
    "job.requires_action": "A job waits for a person.",
    "job.succeeded": "A job has ended well; its `output` is inside, unless it is long.",
    "job.incomplete": "A job was stopped by a limit, and keeps what it has.",
    "job.failed": "A job has ended with an error.",
    "job.cancelled": "A job has ended because it was cancelled.",
    "job.expired": "A job has ended without having started in its time.",
    "webhook.test": "You asked for a test.",
}
_HOW = (
    " Verify it with your secret as Standard Webhooks says, over the bytes of the body as they came. Answer with "
    "any 2xx within 15 seconds. Anything else, redirects included, is tried again for three days; 410 disables the "
    "endpoint."
)
_HEADERS = (
    (
        "webhook-id",
        "Names the delivery, and stays over retries and replays: remember it to do nothing twice.",
        DELIVERY_ID,
    ),
    (
        "webhook-timestamp",
        "When this attempt was made, in seconds since 1970; refuse what is 5 minutes off.",
        "1769860828",
    ),
    (
        "webhook-signature",
        "`v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, with the bytes that are "
        "base64 behind `whsec_` in the secret as key. For 24 hours after a rotation two of them, with a blank between.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
)
_STATUS_OF = {"job.started": "running"}


def webhooks() -> dict[str, Any]:
    """The `webhooks` of the document, by type."""
    return {name: {"post": _operation(name)} for name in (*get_args(EventName), "webhook.test")}


def _operation(name: str) -> dict[str, Any]:
    trial = name == "webhook.test"
    model = WebhookTestEvent if trial else WebhookEvent
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if not trial:
        content["example"] = {"type": name, "timestamp": _AT, "data": _data(name)}
    return {
        "operationId": f"on_{name.replace('.', '_')}",
        "summary": name,
        "description": _SAID[name] + _HOW,
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {
                "name": header,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
                "example": example,
            }
            for header, text, example in _HEADERS
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "You have it."},
            "410": {"description": "You want nothing more at this address: the endpoint is disabled."},
            "default": {"description": "It is tried again.", "headers": header_references("Retry-After")},
        },
    }


def _data(name: str) -> dict[str, Any]:
    ended = name not in ("job.started", "job.requires_action")
    output = "A job queue holds work until somebody has time for it." if name == "job.succeeded" else None
    data = _JOB | {"status": _STATUS_OF.get(name, name.removeprefix("job."))} | ({"output": output} if ended else {})
    if name == "job.requires_action":
        data["required_actions"] = [{field: ACTION[field] for field in WebhookAction.model_fields}]
    return data
