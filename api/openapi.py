"""The OpenAPI document: FastAPI's, and what it does not find by itself."""

from typing import Any

from api.batch_schemas import BatchRequest
from api.documents import HEADERS, components, header_references
from api.examples import EXAMPLES
from api.problems import ProblemDocument
from api.schemas import JobRequest
from api.webhook_document import MODELS, webhooks
from api.webhook_schemas import EndpointRequest

_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document with bodies that are read by hand, webhooks, and what every answer has."""
    shared = document["components"]
    shared["schemas"] |= components(JobRequest, BatchRequest, EndpointRequest, ProblemDocument, *MODELS)
    for unused in _FASTAPIS_OWN:
        shared["schemas"].pop(unused, None)
    shared["headers"] = HEADERS
    shared["examples"] = {name: {"value": value} for name, value in EXAMPLES.items()}
    document["webhooks"] = webhooks()
    for item in document["paths"].values():
        for operation in item.values():
            _complete(operation)
    return document


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]  # FastAPI's guess; ours is a problem document
    operation["responses"] = dict(sorted(responses.items()))
    for response in responses.values():
        response.setdefault("headers", {}).update(header_references("X-Request-Id"))
