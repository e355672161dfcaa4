"""Every error is a problem document (RFC 9457) with a code from one list, and says what to do."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.responses import Response


class Code(StrEnum):
    BAD_JSON = "bad_json"
    BAD_CURSOR = "bad_cursor"
    UNAUTHORIZED = "unauthorized"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    NOT_FOUND = "not_found"
    NOT_FINISHED = "not_finished"
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


_STATUS = {
    Code.BAD_JSON: 400,
    Code.BAD_CURSOR: 400,
    Code.UNAUTHORIZED: 401,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.BODY_TIMEOUT: 408,
    Code.NOT_FINISHED: 409,
    Code.GONE: 410,
    Code.BODY_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.INVALID_REQUEST: 422,
    Code.UNKNOWN_AGENT: 422,
    Code.URL_NOT_ALLOWED: 422,
    Code.TOO_MANY_ENDPOINTS: 422,
    Code.IDEMPOTENCY_CONFLICT: 422,
    Code.QUEUE_FULL: 429,
    Code.TENANT_QUOTA: 429,
    Code.TENANT_RATE: 429,
    Code.TENANT_BUDGET: 429,
    Code.STORE_UNAVAILABLE: 503,
    Code.DRAINING: 503,
    Code.TOO_MANY_STREAMS: 503,
    Code.NO_WORKER_YET: 503,
    Code.INTERNAL_ERROR: 500,
}
_RETRYABLE = {
    Code.BODY_TIMEOUT,
    Code.QUEUE_FULL,
    Code.TENANT_QUOTA,
    Code.TENANT_RATE,
    Code.TENANT_BUDGET,
    Code.STORE_UNAVAILABLE,
    Code.DRAINING,
    Code.TOO_MANY_STREAMS,
    Code.NO_WORKER_YET,
    Code.INTERNAL_ERROR,
}


class FieldError(BaseModel):
    """Where in the request a mistake is: `#/a/b` in the body (RFC 6901), `?name` a parameter, or a header's name."""

    pointer: str = Field(examples=["#/budget/max_turns"])
    detail: str = Field(examples=["input should be greater than or equal to 1"])


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:sluice:problem:invalid_request"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str
    instance: str = Field(examples=["/v1/jobs"])
    code: Code
    request_id: str
    retryable: bool
    errors: list[FieldError] = []


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
        self.status = status or _STATUS[code]

    def document(self, *, instance: str, request_id: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": f"urn:sluice:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "request_id": request_id,
            "retryable": self.code in _RETRYABLE,
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
        405: "This address does not take this method; the endpoints are listed at /docs.",
    }
    return Problem(codes.get(status, Code.HTTP_ERROR), known.get(status, detail), headers=headers, status=status)


def invalid(*errors: FieldError) -> Problem:
    """A request that was understood but cannot be meant."""
    count = "1 field is" if len(errors) == 1 else f"{len(errors)} fields are"
    return Problem(Code.INVALID_REQUEST, f"{count} not valid; see errors.", errors=list(errors))
