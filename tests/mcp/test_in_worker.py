"""A job whose agent uses the tools of an MCP server, with real processes all the way."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.mcp.place import Place
from tests.prompts import scripted
from tests.stack import Stack, stack
from tests.waiting import until

pytestmark = pytest.mark.mcp


@pytest.fixture
def running(redis: Redis, redis_server: RedisServer, provider: ProviderProcess, place: Place) -> Iterator[Stack]:
    settings = {
        "SLUICE_WORKER__AGENTS": json.dumps(["tests.agents.clerk"]),
        "SLUICE_QUEUE__LEASE_SECONDS": "1.5",
        "MARKS_PLACE": str(place.folder),
    }
    with stack(redis_server.url, provider.url, **settings) as started:
        yield started


def calling(tool: str, **arguments: object) -> str:
    return scripted(turns=[{"tools": [{"name": f"marks__{tool}", "input": arguments}]}, {"text": "Done."}])


async def asked(running: Stack, job_id: str) -> dict[str, Any]:
    """The action that the job waits for."""
    await until(lambda: running.job(job_id)["status"] == "requires_action")
    (action,) = running.http.get("/v1/actions", params={"status": "pending"}).json()["data"]
    return dict(action)


def decide(running: Stack, job_id: str, action: dict[str, Any], decision: str) -> None:
    running.http.post(f"/v1/jobs/{job_id}/actions/{action['id']}", json={"decision": decision}).raise_for_status()


def shown(running: Stack) -> dict[str, dict[str, object]]:
    """The agent's tools in the catalogue, by name."""
    agents = {agent["name"]: agent for agent in running.http.get("/v1/agents").json()["data"]}
    return {tool["name"]: tool for tool in agents["clerk"]["tools"]} if "clerk" in agents else {}


async def test_a_job_calls_a_tool(running: Stack, provider: ProviderProcess) -> None:
    job = running.finished(running.submit("clerk", calling("add", a=2, b=3)))

    assert (job["status"], job["output"]) == ("succeeded", "Done."), job
    (result,) = running.results(job["id"])
    assert (result["content"], result["is_error"]) == ("5", False)


async def test_the_key_is_that_of_the_call(running: Stack, place: Place) -> None:
    job = running.finished(running.submit("clerk", calling("send", key="letter")))

    assert job["status"] == "succeeded", job
    ((key, idempotency),) = place.marks("send")
    assert (key, idempotency.startswith(f"{job['id']}/1/")) == ("letter", True)


async def test_a_tool_that_fails_is_an_answer(running: Stack) -> None:
    job = running.finished(running.submit("clerk", calling("fail")))

    (result,) = running.results(job["id"])
    assert (job["status"], result["is_error"]) == ("succeeded", True)
    assert "no such file" in result["content"]


async def test_the_catalogue_shows_the_tools(running: Stack) -> None:
    await until(lambda: "marks__add" in shown(running), seconds=15)

    tools = shown(running)
    assert (tools["marks__add"]["effect"], tools["marks__add"]["approval"]) == ("read", "never")
    assert (tools["marks__pay"]["effect"], tools["marks__pay"]["approval"]) == ("irreversible", "never")
    assert (tools["marks__die"]["effect"], tools["marks__die"]["approval"]) == ("irreversible", "always")
    assert tools["marks__file_read"]["effect"] == "read"
    assert tools["marks__fail"]["timeout_seconds"] == 5


async def test_a_worker_killed_in_the_middle_of_a_read(running: Stack, place: Place) -> None:
    job_id = running.submit("clerk", calling("file_read", key="note"))
    await until(lambda: len(place.marks("read")) == 1)
    running.workers[0].signal(signal.SIGKILL)
    running.add_worker()
    await until(lambda: len(place.marks("read")) == 2)
    place.put("release")

    job = running.finished(job_id)

    assert (job["status"], job["attempt"]) == ("succeeded", 2), job
    assert len({idempotency for _, idempotency in place.marks("read")}) == 1


async def test_what_nobody_has_called_harmless_waits_for_a_person(running: Stack, place: Place) -> None:
    job_id = running.submit("clerk", calling("picture"))
    action = await asked(running, job_id)
    assert (action["kind"], action["tool"], action["effect"]) == ("approval", "marks__picture", "irreversible")

    decide(running, job_id, action, "approve")
    job = running.finished(job_id)

    (result,) = running.results(job_id)
    assert (job["status"], result["is_error"]) == ("succeeded", False)
    assert "Look:" in result["content"]


async def test_a_server_that_dies_in_the_middle_of_what_must_not_run_twice(running: Stack, place: Place) -> None:
    job_id = running.submit("clerk", calling("pay", key="rent"))
    await until(lambda: len(place.marks("pay")) == 1)
    place.kill()
    action = await asked(running, job_id)
    assert (action["kind"], action["input"]) == ("outcome", {"key": "rent"})

    decide(running, job_id, action, "done")
    job = running.finished(job_id)

    assert (job["status"], len(place.marks("pay"))) == ("succeeded", 1)
    assert "did not answer" in action["note"]


async def test_a_job_waits_for_a_server_that_is_away(running: Stack, place: Place) -> None:
    running.finished(running.submit("clerk", calling("add", a=1, b=1)))
    place.put("deaf")
    place.kill()
    await place.started(2)
    job_id = running.submit("clerk", calling("add", a=2, b=2))
    await until(lambda: running.job(job_id)["wait_reason"] == "tool_server", seconds=60)

    place.take("deaf")
    job = running.finished(job_id, seconds=120)

    assert (job["status"], job["attempt"]) == ("succeeded", 1), job


async def test_a_drain_ends_the_server(running: Stack, place: Place) -> None:
    running.finished(running.submit("clerk", calling("add", a=1, b=1)))

    running.workers[0].signal(signal.SIGTERM)

    await until(lambda: not place.alive())
