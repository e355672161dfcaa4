"""Pieces of the OpenAPI document that several endpoints share."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

_REFERENCE = "#/components/schemas/{model}"
_SAID = {
    400: "The body is no JSON, or a cursor is not an id.",
    401: "No key, or one that is not known, or has expired.",
    403: "The key is not good for this.",
    404: "There is no such thing, or it is not yours.",
    408: "The body did not come in time.",
    409: "The job has not finished.",
    410: "The Idempotency-Key belongs to a job that was deleted, or removed after its retention.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The request cannot be meant; `errors` names each field.",
    429: "Too much is waiting already, or a limit of yours is reached; come back after `Retry-After` seconds.",
    503: "Redis is not available, or this server is about to stop; repeat it, safely with an Idempotency-Key.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint for its errors."""
    content = {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(model="ProblemDocument")}}}
    return {status: {"description": _SAID[status], "content": content} for status in statuses}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The `requestBody` of an endpoint that reads its body itself."""
    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}
    return {"requestBody": {"required": True, "content": content}}


def components(*models: type[BaseModel]) -> dict[str, Any]:
    """The schemas of models that FastAPI does not find by itself, and of all that they refer to, by name."""
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    named: dict[str, Any] = schema["$defs"]
    return named
