"""Pieces of the OpenAPI document that several endpoints share."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.examples import EXAMPLES
from api.problems import KINDS, Code

_REFERENCE = "#/components/schemas/{model}"

GUARDED = (Code.UNAUTHORIZED, Code.INSUFFICIENT_SCOPE, Code.INVALID_REQUEST, Code.STORE_UNAVAILABLE)
"""What every endpoint under /v1 may answer."""
BODY = (Code.BAD_JSON, Code.BODY_TIMEOUT, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE)
"""What one that reads a body may answer, too."""

_SAID = {
    400: "The body is no JSON, or a cursor is not an id.",
    401: "No key, or one that is not known, or has expired.",
    403: "The key is not good for this.",
    404: "There is no such thing, or it is not yours.",
    408: "The body did not come in time.",
    409: "It is not in a state for this.",
    410: "The Idempotency-Key belongs to a job that was deleted, or removed after its retention.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The request cannot be meant; `errors` names each field.",
    429: "Too much is waiting already, or a limit of yours is reached; come back after `Retry-After` seconds.",
    503: "Redis is not available, or this server is about to stop; repeat it, safely with an Idempotency-Key.",
}
_HEADERS_OF = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}


def _header(description: str, example: str | int, **schema: Any) -> dict[str, Any]:
    kind = "integer" if isinstance(example, int) else "string"
    return {"description": description, "schema": {"type": kind} | schema, "example": example}


HEADERS = {
    "X-Request-Id": _header(
        "Names this exchange in the logs: yours, if you sent 1 to 128 letters, digits and `_ . : -`, else a new one.",
        "req_0af7651916cd43dd8448eb211c80319c",
        maxLength=128,
    ),
    "Location": _header("Where to read what was made.", "/v1/jobs/job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"),
    "ETag": _header("The revision of the job; send it as `If-None-Match` to be told only of a change.", 'W/"3"'),
    "Retry-After": _header("Seconds after which it is worth to come again.", 12, minimum=1),
    "Idempotency-Replayed": _header("There when this Idempotency-Key had made the job before.", "true", enum=["true"]),
    "Preference-Applied": _header("The wait that was granted.", "wait=30"),
    "RateLimit": _header(
        "What is left: places in the queue, and your submits of this minute where they are limited "
        "(draft-ietf-httpapi-ratelimit-headers).",
        '"queue";r=9958;t=2',
    ),
    "RateLimit-Policy": _header("How much there is in all.", '"queue";q=10000'),
    "WWW-Authenticate": _header("What is missing (RFC 6750).", "Bearer"),
}


def header_references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names if HEADERS[name]}


def example_references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/examples/{name}"} for name in names if EXAMPLES[name]}


def errors(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint under /v1 for its errors, each with an example: these, and `GUARDED`."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in dict.fromkeys((*GUARDED, *codes)):
        status = KINDS[code].status
        response = by_status.setdefault(status, _response(status))
        response["content"]["application/problem+json"]["examples"] |= example_references(code)
    return by_status


def _response(status: int) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model="ProblemDocument")}
    return {
        "description": _SAID[status],
        "headers": header_references(*_HEADERS_OF.get(status, ())),
        "content": {"application/problem+json": {"schema": schema, "examples": {}}},
    }


def answer(
    description: str,
    *examples: str,
    headers: Iterable[str] = (),
    links: Mapping[str, tuple[str, str]] | None = None,
    model: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """The response of an endpoint for one of its successes, with the names in `EXAMPLES` of what it looks like. `links`
    are those to other operations: name → id of the operation, and its parameter that the `id` in the body fills."""
    told: dict[str, Any] = {"description": description, "headers": header_references(*headers)}
    if examples:
        told["content"] = {"application/json": {"examples": example_references(*examples)}}
    if links:
        told["links"] = {
            name: {"operationId": operation, "parameters": {parameter: "$response.body#/id"}}
            for name, (operation, parameter) in links.items()
        }
    return told | ({"model": model} if model else {})


def json_body(model: type[BaseModel], *examples: str, required: bool = True) -> dict[str, Any]:
    """The `requestBody` of an endpoint that reads its body itself."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    content = {"application/json": {"schema": schema, "examples": example_references(*examples)}}
    return {"requestBody": {"required": required, "content": content}}


def components(*models: type[BaseModel]) -> dict[str, Any]:
    """The schemas of models that FastAPI does not find by itself, and of all that they refer to, by name."""
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    named: dict[str, Any] = schema["$defs"]
    return named
