"""An input that its agent does not take is refused before it becomes a job."""

import json
from typing import Any

import httpx2
import pytest

from shared.catalogue import AgentEntry, Catalogue
from shared.redis_client import Redis
from tests.api.talk import FRUGAL, problem
from tests.waiting import until

ORDER = {"type": "object", "properties": {"number": {"type": "integer", "minimum": 1}}, "required": ["number"]}
SCHEMAS: dict[str, dict[str, Any]] = {
    "orders": {"type": "string", "contentMediaType": "application/json", "contentSchema": ORDER},
    "texts": {"type": "string"},
    "talks": {"type": "array", "items": {"type": "object", "required": ["role", "content"]}},
}
TALK = [{"role": "user", "content": "Hello."}]


@pytest.fixture
async def talk(http: httpx2.AsyncClient, redis: Redis) -> httpx2.AsyncClient:
    """The api, once it knows these agents."""
    entries = [AgentEntry(name, "1", "", "default", [], FRUGAL, "custom", schema) for name, schema in SCHEMAS.items()]
    await Catalogue(redis).announce(entries)

    async def known() -> bool:
        return (await http.post("/v1/jobs", json={"agent": "texts", "input": "x"})).status_code == 202

    await until(known, seconds=5)
    return http


@pytest.mark.parametrize(("agent", "given"), [("orders", '{"number": 7}'), ("texts", "seven"), ("talks", TALK)])
async def test_what_the_agent_takes_is_taken_as_it_is(talk: httpx2.AsyncClient, agent: str, given: Any) -> None:
    answer = await talk.post("/v1/jobs", json={"agent": agent, "input": given})
    assert answer.status_code == 202, answer.text
    assert answer.json()["input"] == given


@pytest.mark.parametrize(
    ("agent", "given", "told"),
    [
        ("orders", '{"number": 0}', "must be at least 1 (at /number of the JSON)"),
        ("orders", "{}", 'lacks "number"'),
        ("orders", "7", "must be object"),
        ("orders", "seven", "agent orders takes a text that holds JSON, which this is not: expected value"),
        ("orders", '{"number": NaN}', "which this is not"),
        ("orders", "[" * 40 + "]" * 40, "which this is not"),
        ("orders", json.dumps({"number": 1, "x": "\0"}), "which this is not"),
        ("orders", TALK, "must be string"),
        ("texts", TALK, "must be string"),
        ("talks", "seven", "must be array"),
    ],
)
async def test_another_is_refused_with_what_is_wrong(
    talk: httpx2.AsyncClient, agent: str, given: Any, told: str
) -> None:
    body = problem(await talk.post("/v1/jobs", json={"agent": agent, "input": given}), 422, "invalid_request")
    (error,) = body["errors"]
    assert error["pointer"] == "#/input"
    assert told in error["detail"]


async def test_one_of_a_batch_is_refused_by_itself(talk: httpx2.AsyncClient) -> None:
    jobs = [{"agent": "orders", "input": text} for text in ('{"number": 1}', '{"number": -1}')]
    answer = await talk.post("/v1/jobs:batch", json={"jobs": jobs})
    assert answer.status_code == 200, answer.text
    assert "must be at least 1" in answer.text
    assert answer.text.count('"id":"job_') == 1


async def test_the_list_shows_what_each_takes(talk: httpx2.AsyncClient) -> None:
    listed = {agent["name"]: agent for agent in (await talk.get("/v1/agents")).json()["data"]}
    assert {name: listed[name]["input_schema"] for name in SCHEMAS} == SCHEMAS
    assert {listed[name]["kind"] for name in SCHEMAS} == {"custom"}
