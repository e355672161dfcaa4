"""Every error is a problem document (RFC 9457) with a code from one list, and says what to do.

`KINDS` is that list: what each code means, once for the answers, the OpenAPI document and `/docs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.responses import Response


class Code(StrEnum):
    BAD_JSON = "bad_json"
    BAD_CURSOR = "bad_cursor"
    UNAUTHORIZED = "unauthorized"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    AGENT_NOT_ALLOWED = "agent_not_allowed"
    NOT_FOUND = "not_found"
    NOT_FINISHED = "not_finished"
    SESSION_BUSY = "session_busy"
    ALREADY_DECIDED = "already_decided"
    ALREADY_FINISHED = "already_finished"
    ALREADY_SUCCEEDED = "already_succeeded"
    HEARS_NO_MESSAGES = "hears_no_messages"
    MAILBOX_FULL = "mailbox_full"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    GONE = "gone"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_AGENT = "unknown_agent"
    URL_NOT_ALLOWED = "url_not_allowed"
    TOO_MANY_ENDPOINTS = "too_many_endpoints"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    QUEUE_FULL = "queue_full"
    TENANT_QUOTA = "tenant_quota"
    TENANT_RATE = "tenant_rate"
    TENANT_BUDGET = "tenant_budget"
    STORE_UNAVAILABLE = "store_unavailable"
    DRAINING = "draining"
    TOO_MANY_STREAMS = "too_many_streams"
    NO_WORKER_YET = "no_worker_yet"
    INTERNAL_ERROR = "internal_error"
    HTTP_ERROR = "http_error"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is true of every problem of a code. `retryable`: the same request may succeed later. `cure` is for `/docs`;
    a problem's own `detail` says the same with what it knows."""

    status: int
    title: str
    cure: str
    retryable: bool = False


KINDS = {
    Code.BAD_JSON: Kind(400, "The body is not JSON", "Mend the body: `detail` says where it breaks off or goes wrong."),
    Code.BAD_CURSOR: Kind(400, "The cursor is not an id", "Go on from an id of this list, such as `last_id`."),
    Code.UNAUTHORIZED: Kind(
        401, "No valid key", "Send `Authorization: Bearer KEY` with a key of your tenant that has not expired."
    ),
    Code.INSUFFICIENT_SCOPE: Kind(
        403, "The key is not good for this", "Use a key with the scope that `detail` names, or ask the operator for it."
    ),
    Code.AGENT_NOT_ALLOWED: Kind(
        403, "The agent is not for you", "Name one of the agents in `GET /v1/agents`, or ask the operator for this one."
    ),
    Code.NOT_FOUND: Kind(
        404,
        "There is no such thing",
        "Check the id and the address. Another tenant's things, deleted ones, and ones whose retention has ended are "
        "not found either.",
    ),
    Code.METHOD_NOT_ALLOWED: Kind(405, "Not by this method", "Use one of the methods in `Allow`."),
    Code.BODY_TIMEOUT: Kind(
        408, "The body came too slowly", "Send it again, all at once; a job with an `Idempotency-Key`.", retryable=True
    ),
    Code.NOT_FINISHED: Kind(
        409, "The job has not finished", "Send it again when the job has ended, or cancel that first."
    ),
    Code.SESSION_BUSY: Kind(
        409,
        "A job of the session has not finished",
        "Wait until it has ended, or cancel it: `detail` names it. A submit without `on_conflict` waits for its turn.",
    ),
    Code.ALREADY_DECIDED: Kind(
        409,
        "It is decided already",
        "Leave it: `detail` says what was decided, and when.",
    ),
    Code.ALREADY_FINISHED: Kind(
        409,
        "The job has finished",
        "Fork it, or retry one that has not succeeded: that makes a job which goes on from it, told your `message`.",
    ),
    Code.ALREADY_SUCCEEDED: Kind(
        409, "The job has succeeded", "Leave it; or fork it from one of its turns, to have it done differently."
    ),
    Code.HEARS_NO_MESSAGES: Kind(
        409,
        "The agent hears no messages",
        "What a custom agent asks, its code says: leave `message` out, or cancel the job and submit another.",
    ),
    Code.MAILBOX_FULL: Kind(
        409, "Too many messages wait for the job", "Say more when it has heard those: `/turns` tells when that is."
    ),
    Code.GONE: Kind(410, "The job of this key is gone", "Use a new `Idempotency-Key` if the work is to be done again."),
    Code.BODY_TOO_LARGE: Kind(413, "The body is too large", "Send less: `detail` says how many bytes are taken."),
    Code.UNSUPPORTED_MEDIA_TYPE: Kind(
        415, "Not JSON as it should be sent", "Send `Content-Type: application/json`, in UTF-8 and not compressed."
    ),
    Code.INVALID_REQUEST: Kind(
        422, "Something in the request is not valid", "Change what `errors` points to; each says what is taken instead."
    ),
    Code.UNKNOWN_AGENT: Kind(422, "There is no such agent", "Name one of the agents that `detail` lists."),
    Code.URL_NOT_ALLOWED: Kind(
        422,
        "Webhooks are not sent there",
        "Give a public `https://` URL; `errors` says what is wrong with this one.",
    ),
    Code.TOO_MANY_ENDPOINTS: Kind(422, "There are too many endpoints", "Delete an endpoint that you do not need."),
    Code.IDEMPOTENCY_CONFLICT: Kind(
        422,
        "The key was used for something else",
        "Use a new `Idempotency-Key` for new work; to repeat a request, send the very same body.",
    ),
    Code.QUEUE_FULL: Kind(429, "The queue is full", "Send it again after `Retry-After` seconds.", retryable=True),
    Code.TENANT_QUOTA: Kind(
        429,
        "You have too many jobs waiting",
        "Send it again after `Retry-After` seconds, or cancel jobs that wait.",
        retryable=True,
    ),
    Code.TENANT_RATE: Kind(
        429,
        "You submit too fast",
        "Send it again after `Retry-After` seconds; `RateLimit` says how fast.",
        retryable=True,
    ),
    Code.TENANT_BUDGET: Kind(
        429,
        "Your money for today is spent",
        "Send it again when `detail` says, after midnight UTC; or ask the operator for more.",
        retryable=True,
    ),
    Code.INTERNAL_ERROR: Kind(
        500, "Something went wrong here", "Send it again; if it stays, report the `request_id`.", retryable=True
    ),
    Code.STORE_UNAVAILABLE: Kind(
        503,
        "The job store is not available",
        "Send it again after `Retry-After` seconds; a job with an `Idempotency-Key`, so that it counts once.",
        retryable=True,
    ),
    Code.DRAINING: Kind(
        503, "This server is about to stop", "Send it again: another one, or the next one, takes it.", retryable=True
    ),
    Code.TOO_MANY_STREAMS: Kind(
        503,
        "Too many streams are open",
        "Open it again after `Retry-After` seconds, or read the list of events.",
        retryable=True,
    ),
    Code.NO_WORKER_YET: Kind(
        503, "No worker has started yet", "Send it again after `Retry-After` seconds.", retryable=True
    ),
    Code.HTTP_ERROR: Kind(400, "The request is not understood", "Mend the request: `detail` says why."),
}


class FieldError(BaseModel):
    """Where in the request a mistake is: `#/a/b` in the body (RFC 6901), `?name` a parameter, or a header's name."""

    pointer: str = Field(examples=["#/budget/max_turns"])
    detail: str = Field(examples=["input should be greater than or equal to 1"])


class ProblemDocument(BaseModel):
    """An error (RFC 9457). Decide by `code`; `title` and `detail` are for people."""

    type: str = Field(description="A name for the code.", examples=["urn:sluice:problem:invalid_request"])
    title: str = Field(description="What the code means.", examples=["Something in the request is not valid"])
    status: int = Field(description="That of the answer.", examples=[422])
    detail: str = Field(description="What happened, and what to do.", examples=["1 field is not valid; see errors."])
    instance: str = Field(description="The path that was asked; empty where none could be read.", examples=["/v1/jobs"])
    code: Code = Field(examples=["invalid_request"])
    request_id: str = Field(
        description="That of the answer's `X-Request-Id`, to be quoted in a report.",
        examples=["req_0af7651916cd43dd8448eb211c80319c"],
    )
    retryable: bool = Field(description="Whether the same request may succeed later.", examples=[False])
    errors: list[FieldError] = Field(default=[], description="Each mistake in the request, where that is known.")


class Problem(Exception):
    """Raised anywhere in a request to answer with an error."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors or []
        self.headers = dict(headers or {})
        self.status = status or KINDS[code].status

    def document(self, *, instance: str, request_id: str) -> dict[str, Any]:
        kind = KINDS[self.code]
        document: dict[str, Any] = {
            "type": f"urn:sluice:problem:{self.code}",
            "title": kind.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "request_id": request_id,
            "retryable": kind.retryable,
        }
        if self.errors:
            document["errors"] = [error.model_dump() for error in self.errors]
        return document

    def response(self, *, instance: str, request_id: str) -> Response:
        return Response(
            to_json(self.document(instance=instance, request_id=request_id), inf_nan_mode="null"),
            self.status,
            self.headers,
            media_type="application/problem+json",
        )


def from_status(status: int, detail: str, headers: Mapping[str, str] | None) -> Problem:
    """The problem for an error that the framework raised by status alone."""
    codes = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.BODY_TOO_LARGE}
    known = {
        404: "There is nothing at this address; the endpoints are listed at /docs.",
        405: "This address does not take this method; see Allow, or the endpoints at /docs.",
    }
    return Problem(codes.get(status, Code.HTTP_ERROR), known.get(status, detail), headers=headers, status=status)


def invalid(*errors: FieldError) -> Problem:
    """A request that was understood but cannot be meant."""
    count = "1 field is" if len(errors) == 1 else f"{len(errors)} fields are"
    return Problem(Code.INVALID_REQUEST, f"{count} not valid; see errors.", errors=list(errors))


def draining(detail: str = "This server is about to stop; send it again.") -> Problem:
    """A server that stops takes nothing new. The connection is closed, so that the repeat does not come back here."""
    return Problem(Code.DRAINING, detail, headers={"Retry-After": "1", "Connection": "close"})


def no_such_job() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such job; it may have been deleted, or removed after its retention.")
