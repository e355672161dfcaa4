"""A loop of somebody else's, unchanged, in a worker that is killed in the middle of it: nothing is bought twice."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until

pytestmark = pytest.mark.examples

EXAMPLES = {"pydantic-trip": "examples.pydantic_ai.agent", "langgraph-trip": "examples.langgraph.agent"}
TURNS: list[dict[str, Any]] = [
    {"text": "Let me see.", "tools": [{"name": "weather", "input": {"city": "Lisbon"}}]},
    {"tools": [{"name": "reserve", "input": {"city": "Lisbon", "nights": 2}}]},
    {"text": "Lisbon it is."},
]
RESERVED = {"city": "Lisbon", "nights": 2, "reservation": "R-62"}


@pytest.fixture
def running(redis: Redis, redis_server: RedisServer, provider: ProviderProcess) -> Iterator[Stack]:
    settings = {
        "SLUICE_WORKER__AGENTS": json.dumps(list(EXAMPLES.values())),
        "SLUICE_QUEUE__LEASE_SECONDS": "1.5",
        "SLUICE_WORKER__PARK_AFTER_SECONDS": "1",
    }
    with stack(redis_server.url, provider.url, **settings) as started:
        yield started


def turns(running: Stack, job_id: str) -> dict[str, Any]:
    body: dict[str, Any] = running.http.get(f"/v1/jobs/{job_id}/turns").json()
    return body


@pytest.mark.parametrize("agent", EXAMPLES)
async def test_it_runs_and_its_transcript_is_that_of_a_job(
    running: Stack, provider: ProviderProcess, agent: str
) -> None:
    prompt = scripted(turns=TURNS)
    job = running.finished(running.submit(agent, prompt))

    assert (job["status"], job["output"]) == ("succeeded", "Lisbon it is."), job
    assert (job["usage"]["turns"], job["usage"]["tool_calls"]) == (3, 2)
    transcript = turns(running, job["id"])
    calls = [call for turn in transcript["data"] for call in turn["tool_calls"]]
    assert [(call["name"], call["outcome"]) for call in calls] == [("weather", "succeeded"), ("reserve", "succeeded")]
    assert calls[0]["result"] == "It is sunny in Lisbon."
    assert json.loads(calls[1]["result"]) == RESERVED
    assert [(step["name"], step["outcome"]) for step in transcript["steps"]] == [
        ("weather", "succeeded"),
        ("reserve", "succeeded"),
    ]


@pytest.mark.parametrize("agent", EXAMPLES)
@pytest.mark.parametrize("turn", [1, 2, 3])
async def test_a_worker_killed_in_the_middle_costs_the_call_in_flight_and_nothing_else(
    running: Stack, provider: ProviderProcess, agent: str, turn: int
) -> None:
    prompt = scripted(turns=TURNS, latency=0.4)
    job_id = running.submit(agent, prompt)

    def busy() -> bool:
        calls = conversation(provider.calls(), prompt)
        return len(calls) == turn and calls[-1]["finished"] is None

    await until(busy)
    running.workers[0].signal(signal.SIGKILL)
    running.add_worker()
    job = running.finished(job_id)

    assert (job["status"], job["output"], job["attempt"]) == ("succeeded", "Lisbon it is.", 2), job
    calls = conversation(provider.calls(), prompt)
    assert (len(calls), sum(call["completed"] for call in calls)) == (4, 3)
    assert job["usage"]["model_calls"] == 3
    assert [step["name"] for step in turns(running, job_id)["steps"]] == ["weather", "reserve"]


@pytest.mark.parametrize("agent", EXAMPLES)
async def test_an_outage_parks_it_and_it_goes_on(running: Stack, provider: ProviderProcess, agent: str) -> None:
    prompt = scripted(turns=TURNS, latency=0.4)
    job_id = running.submit(agent, prompt)
    await until(lambda: len(conversation(provider.calls(), prompt)) == 2)
    provider.set_fault("529")
    assert running.until(job_id, "queued", seconds=60)["wait_reason"] == "provider_outage"
    provider.set_fault(None)
    job = running.finished(job_id, seconds=60)

    assert (job["status"], job["output"], job["attempt"]) == ("succeeded", "Lisbon it is.", 1), job
    assert sum(call["completed"] for call in conversation(provider.calls(), prompt)) == 3


@pytest.mark.parametrize("agent", EXAMPLES)
async def test_several_tool_calls_of_one_answer(running: Stack, agent: str) -> None:
    cities = ("Lisbon", "Porto", "Faro")
    calls = [{"name": "weather", "input": {"city": city}} for city in cities]
    job = running.finished(running.submit(agent, scripted(turns=[{"tools": calls}, {"text": "Sunny."}])))

    assert (job["status"], job["output"], job["usage"]["tool_calls"]) == ("succeeded", "Sunny.", 3), job
    (told, _) = turns(running, job["id"])["data"]
    assert [call["result"] for call in told["tool_calls"]] == [f"It is sunny in {city}." for city in cities]
