"""The OpenAPI document: FastAPI's, and what it does not find by itself."""

from typing import Any

from api.action_schemas import DecisionRequest
from api.batch_schemas import BatchRequest
from api.documents import HEADERS, components, header_references
from api.examples import EXAMPLES
from api.fork_schemas import ForkRequest, RetryRequest
from api.message_schemas import MessageRequest
from api.problems import ProblemDocument
from api.schemas import JobRequest
from api.webhook_document import MODELS, webhooks
from api.webhook_schemas import EndpointRequest

_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document with bodies that are read by hand, webhooks, and what every answer has."""
    shared = document["components"]
    shared["schemas"] |= components(
        JobRequest,
        BatchRequest,
        DecisionRequest,
        MessageRequest,
        ForkRequest,
        RetryRequest,
        EndpointRequest,
        ProblemDocument,
        *MODELS,
    )
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
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    responses = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]  # FastAPI's guess; ours is a problem document
    operation["responses"] = dict(sorted(responses.items()))
    for response in responses.values():
        response.setdefault("headers", {}).update(header_references("X-Request-Id"))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Of a parameter: it can be left out, but there is no way to write null in a query or a header."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {name: value for name, value in schema.items() if name != "anyOf"} | dict(kinds[0])
