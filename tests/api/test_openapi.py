"""The OpenAPI document: whole, true, and telling of every code an error can have."""

from collections.abc import Iterator
from typing import Any, get_args

import httpx2
import pytest
from jsonschema_rs import validator_for

from api.examples.jobs import QUEUED_JOB
from api.problems import Code
from api.webhook_schemas import EventName

METHODS = {"get", "post", "put", "patch", "delete"}
CONTRACT = {
    "post /v1/jobs": {"200", "202", "400", "401", "403", "408", "409", "410", "413", "415", "422", "429", "503"},
    "get /v1/jobs": {"200", "400", "401", "403", "422", "503"},
    "get /v1/jobs/{job_id}": {"200", "304", "401", "403", "404", "422", "503"},
    "get /v1/jobs/{job_id}/events": {"200", "204", "400", "401", "403", "404", "422", "503"},
    "post /v1/jobs/{job_id}/cancel": {"200", "202", "401", "403", "404", "422", "503"},
    "get /v1/agents": {"200", "401", "403", "422", "503"},
    "get /v1/queue": {"200", "401", "403", "422", "503"},
    "get /v1/workers": {"200", "401", "403", "422", "503"},
    "get /v1/limits": {"200", "401", "403", "422", "503"},
    "post /v1/webhook_endpoints": {"201", "400", "401", "403", "408", "413", "415", "422", "503"},
    "get /v1/webhook_endpoints": {"200", "401", "403", "422", "503"},
    "get /v1/webhook_endpoints/{endpoint_id}": {"200", "401", "403", "404", "422", "503"},
    "delete /v1/webhook_endpoints/{endpoint_id}": {"204", "401", "403", "404", "422", "503"},
    "post /v1/webhook_endpoints/{endpoint_id}/rotate": {"200", "401", "403", "404", "422", "503"},
    "post /v1/webhook_endpoints/{endpoint_id}/test": {"202", "401", "403", "404", "422", "503"},
    "get /v1/webhook_deliveries": {"200", "400", "401", "403", "422", "503"},
    "get /v1/webhook_deliveries/{delivery_id}": {"200", "401", "403", "404", "422", "503"},
    "post /v1/webhook_deliveries/{delivery_id}/replay": {"202", "401", "403", "404", "422", "503"},
    "delete /v1/jobs/{job_id}": {"204", "401", "403", "404", "409", "422", "503"},
    "get /v1/jobs/{job_id}/turns": {"200", "304", "401", "403", "404", "422", "503"},
    "post /v1/jobs/{job_id}/messages": {*{"202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "503"}},
    "post /v1/jobs/{job_id}/fork": {
        *{"202", "400", "401", "403", "404", "408", "409", "410", "413", "415", "422", "429", "503"}
    },
    "post /v1/jobs/{job_id}/retry": {
        *{"202", "400", "401", "403", "404", "408", "409", "410", "413", "415", "422", "429", "503"}
    },
    "get /v1/sessions/{session_id}": {"200", "401", "403", "404", "422", "503"},
    "delete /v1/sessions/{session_id}": {"204", "401", "403", "404", "409", "422", "503"},
    "get /v1/actions": {"200", "400", "401", "403", "422", "503"},
    "post /v1/jobs/{job_id}/actions/{action_id}": {
        *{"200", "400", "401", "403", "404", "408", "409", "413", "415", "422", "503"}
    },
    "post /v1/jobs:batch": {"200", "400", "401", "403", "408", "409", "413", "415", "422", "429", "503"},
    "get /healthz": {"200"},
    "get /readyz": {"200", "503"},
    "get /metrics": {"200"},
}


PLAIN = {"limit", "status", "agent", "session_id", "created_after", "created_before", "If-None-Match", "if-none-match"}
"""Parameters whose names say it all."""
OF_NO_ENDPOINT = {Code.METHOD_NOT_ALLOWED, Code.INTERNAL_ERROR, Code.HTTP_ERROR}
"""Codes of addresses, mistakes of ours, and of what is no HTTP."""


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Those of the paths and of the webhooks, each with where it stands."""
    for kind, places in (("", document["paths"]), ("webhook ", document["webhooks"])):
        for path, item in places.items():
            yield from ((f"{kind}{method} {path}", one) for method, one in item.items() if method in METHODS)


@pytest.fixture
async def document(http: httpx2.AsyncClient) -> dict[str, Any]:
    body: dict[str, Any] = (await http.get("/openapi.json")).json()
    return body


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (item for name, item in value.items() if name == "$ref")
        yield from (found for item in value.values() for found in references(item))
    elif isinstance(value, list):
        yield from (found for item in value for found in references(item))


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/") if "$ref" in schema else ():
        found = found[part]
    return found if "$ref" in schema else schema


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert {"#/components/schemas/Message", "#/components/schemas/BudgetRequest"} <= found
    for reference in found:
        named = resolve(document, {"$ref": reference})
        assert named.get("title") or named.get("description") or named["value"]


async def test_every_component_is_used(document: dict[str, Any]) -> None:
    kinds = ("schemas", "headers", "examples")
    assert document["components"].keys() - {"securitySchemes"} == set(kinds)
    names = {f"#/components/{kind}/{name}" for kind in kinds for name in document["components"][kind]}
    unused = {f"#/components/examples/{code}" for code in OF_NO_ENDPOINT}
    assert names - unused == set(references(document))


async def test_no_schema_hides_definitions_of_its_own(document: dict[str, Any]) -> None:
    assert "$defs" not in str(document)


async def test_the_body_of_a_submit_is_told_field_by_field(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]
    assert body["required"]
    schema = resolve(document, body["content"]["application/json"]["schema"])
    what = {"agent", "input", "priority", "session_id", "on_conflict", "budget", "metadata", "webhook"}
    when = {"run_at", "delay_seconds", "ttl_seconds", "deadline_at"}
    assert set(schema["properties"]) == what | when
    assert schema["required"] == ["agent", "input"]
    assert schema["additionalProperties"] is False
    budget = resolve(document, schema["properties"]["budget"])
    assert set(budget["properties"]) == {"max_turns", "max_tokens", "max_cost_usd", "max_seconds"}
    message = resolve(document, schema["properties"]["input"]["anyOf"][1]["items"])
    assert set(message["properties"]) == {"role", "content"}


async def test_every_endpoint_tells_every_answer_it_gives(document: dict[str, Any]) -> None:
    told = {
        f"{method} {path}": set(endpoint["responses"])
        for path, item in document["paths"].items()
        for method, endpoint in item.items()
        if method in METHODS
    }
    assert {name: told.get(name) for name in CONTRACT} == CONTRACT


async def test_errors_are_told_as_problem_documents_and_nothing_else(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for endpoint in item.values():
            for status, response in endpoint["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (path, status)


async def test_every_operation_is_told_whole(document: dict[str, Any]) -> None:
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    ids = []
    for where, operation in operations(document):
        ids.append(operation["operationId"])
        assert operation["summary"], where
        assert operation["description"], where
        assert set(operation["tags"]) <= set(tags), where
        for parameter in operation.get("parameters", []):
            told = parameter.get("description") or parameter["in"] == "path" or parameter["name"] in PLAIN
            assert told, (where, parameter["name"])
        for status, response in operation["responses"].items():
            assert response["description"], (where, status)
            assert where.startswith("webhook ") or "X-Request-Id" in response["headers"], (where, status)
    assert len(set(ids)) == len(ids)
    assert all(tags.values())


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body that is asked for or answered, with its schema and examples."""
    for where, operation in operations(document):
        told = {"request": operation.get("requestBody", {})} | operation["responses"]
        for part, body in told.items():
            for kind, content in body.get("content", {}).items():
                yield f"{where} {part} {kind}", content


async def test_every_body_has_examples_and_they_are_as_its_schema_says(document: dict[str, Any]) -> None:
    seen = 0
    for where, content in bodies(document):
        schema = resolve(document, content["schema"])
        examples = [resolve(document, one)["value"] for one in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else schema.get("examples", [])
        assert examples, where
        validator = validator_for(content["schema"] | {"components": document["components"]})
        for example in examples:
            seen += 1
            wrong = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(example)]
            assert not wrong, (where, wrong)
            if "application/problem+json" in where:
                assert f" {example['status']} " in where
    assert seen > 100


async def test_an_example_that_its_schema_forbids_is_found(document: dict[str, Any]) -> None:
    validator = validator_for({"$ref": "#/components/schemas/JobResource", "components": document["components"]})
    assert not validator.is_valid(QUEUED_JOB | {"status": "asleep"})


async def test_every_code_is_shown_where_it_may_come_and_explained(document: dict[str, Any]) -> None:
    shown = {
        name
        for where, content in bodies(document)
        if "problem+json" in where
        for name, example in content["examples"].items()
        if resolve(document, example)["value"]["code"] == name
    }
    assert set(Code) - shown == OF_NO_ENDPOINT
    for code in Code:
        assert f"| `{code}` |" in document["info"]["description"]


async def test_the_webhooks_are_told_as_they_come(document: dict[str, Any]) -> None:
    assert set(document["webhooks"]) == {*get_args(EventName), "webhook.test"}
    for name, item in document["webhooks"].items():
        sent = item["post"]
        headers = {one["name"] for one in sent["parameters"] if one["in"] == "header" and one["required"]}
        assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
        assert sent["security"] == []
        content = sent["requestBody"]["content"]["application/json"]
        schema = resolve(document, content["schema"])
        example = content.get("example") or schema["examples"][0]
        assert example["type"] == name
        assert {"2XX", "410"} <= set(sent["responses"])


async def test_every_guarded_endpoint_names_the_scope_of_its_key(document: dict[str, Any]) -> None:
    asked = {
        f"{method} {path}": endpoint.get("security")
        for path, item in document["paths"].items()
        for method, endpoint in item.items()
    }
    assert asked["post /v1/jobs"] == [{"key": ["submit"]}]
    assert asked["get /v1/jobs"] == [{"key": ["read"]}]
    assert {name for name, scopes in asked.items() if scopes is None} == {"get /healthz", "get /readyz", "get /metrics"}
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


async def test_the_codes_are_listed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ProblemDocument"]["properties"]["code"]["$ref"] == "#/components/schemas/Code"
    assert set(schemas["Code"]["enum"]) == set(Code)


async def test_events_are_told_as_a_list_and_as_a_stream(document: dict[str, Any]) -> None:
    answer = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "text/event-stream"}
    assert "event: text.delta" in answer["content"]["text/event-stream"]["example"]
    event = document["components"]["schemas"]["EventResource"]["properties"]
    assert {"job.succeeded", "turn.restarted", "text.delta", "action.requested"} <= set(event["type"]["enum"])
