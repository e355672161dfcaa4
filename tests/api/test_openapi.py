"""The OpenAPI document: whole, true, and telling of every code an error can have."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from api.agent_schemas import AgentList
from api.operation_schemas import QueueState, WorkerList
from api.problems import Code

EXEMPLARY = [QueueState, WorkerList, AgentList]
METHODS = {"get", "post", "put", "patch", "delete"}
CONTRACT = {
    "post /v1/jobs": {"200", "202", "400", "401", "403", "408", "410", "413", "415", "422", "429", "503"},
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
    "post /v1/jobs:batch": {"200", "400", "401", "403", "408", "413", "415", "422", "429", "503"},
    "get /healthz": {"200"},
    "get /readyz": {"200", "503"},
    "get /metrics": {"200"},
}


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
        assert resolve(document, {"$ref": reference})["title"]


async def test_every_component_is_used(document: dict[str, Any]) -> None:
    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert names == set(references(document))


async def test_no_schema_hides_definitions_of_its_own(document: dict[str, Any]) -> None:
    assert "$defs" not in str(document)


async def test_the_body_of_a_submit_is_told_field_by_field(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]
    assert body["required"]
    schema = resolve(document, body["content"]["application/json"]["schema"])
    what = {"agent", "input", "priority", "session_id", "budget", "metadata", "webhook"}
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


@pytest.mark.parametrize("model", EXEMPLARY)
async def test_examples_are_as_their_schemas_say(document: dict[str, Any], model: type[BaseModel]) -> None:
    extra: Any = model.model_config["json_schema_extra"]
    (example,) = extra["examples"]
    assert model.model_validate(example).model_dump(mode="json") == example
    assert document["components"]["schemas"][model.__name__]["examples"]


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


async def test_the_pages_for_people_are_there(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/docs")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/html")


async def test_events_are_told_as_a_list_and_as_a_stream(document: dict[str, Any]) -> None:
    answer = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "text/event-stream"}
    assert "event: text.delta" in answer["content"]["text/event-stream"]["example"]
    event = document["components"]["schemas"]["EventResource"]["properties"]
    assert {"job.succeeded", "turn.restarted", "text.delta", "action.requested"} <= set(event["type"]["enum"])
