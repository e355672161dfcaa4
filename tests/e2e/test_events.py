"""Following a job while real workers run it: nothing is lost, nothing is told twice, and a death is told."""

import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock
from shared.redis_client import Redis
from tests.api.talk import client
from tests.event_reader import list_of, reading, stream_of, texts
from tests.prompts import scripted
from tests.stack import Stack, stack

LONG_TEXT = "Grüße \N{SNOWMAN} from the model, word after word. " * 30


@pytest.fixture
async def http(running: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(running.api.url) as talking:
        yield talking


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def without_gaps(events: list[dict[str, Any]], first: int = 1) -> None:
    assert [event["id"] for event in events] == list(range(first, first + len(events)))


async def test_a_job_is_followed_live(running: Stack, http: httpx2.AsyncClient, simulated: ProviderProcess) -> None:
    job_id = running.submit("assistant", scripted(turns=[{"text": LONG_TEXT, "tokens_per_second": 150}]))
    seen, at = [], []
    async with reading(http, job_id) as reader:
        async for event in reader:
            seen.append(event)
            at.append(clock.monotonic())
    without_gaps(seen)
    deltas = [when for when, event in zip(at, seen, strict=True) if event["type"] == "text.delta"]
    assert len(deltas) > 5, "as it comes, not at the end"
    assert len(deltas) <= 12 * (deltas[-1] - deltas[0]) + 3, "in batches"
    assert [kind for kind in types(seen) if kind != "text.delta"] == [
        "job.queued",
        "job.running",
        "turn.started",
        "turn.completed",
        "job.succeeded",
    ]
    job = running.job(job_id)
    assert texts(seen) == {1: LONG_TEXT} == {1: job["output"]}
    assert seen[-2]["data"]["usage"]["output_tokens"] == job["usage"]["output_tokens"]
    assert seen == await list_of(http, job_id)
    assert (await http.get(f"/v1/jobs/{job_id}/events?starting_after={len(seen)}")).status_code == 204


async def test_a_job_that_nobody_followed_has_the_same_story(running: Stack, http: httpx2.AsyncClient) -> None:
    prompt = scripted(turns=[{"text": "Let me see. ", "tools": [{"name": "clock"}]}, {"text": LONG_TEXT}])
    job = running.finished(running.submit("researcher", prompt))
    events = await stream_of(http, job["id"])
    without_gaps(events)
    assert types(events) == [
        "job.queued",
        "job.running",
        "turn.started",
        "text.delta",
        "turn.completed",
        "tool.started",
        "tool.completed",
        "turn.started",
        "text.delta",
        "turn.completed",
        "job.succeeded",
    ], "text in one piece"
    assert texts(events) == {1: "Let me see. ", 2: LONG_TEXT}
    started, completed = events[5]["data"], events[6]["data"]
    assert (started["name"], completed["name"]) == ("clock", "clock")
    assert started["tool_call_id"] == completed["tool_call_id"]
    assert completed["is_error"] is False


async def test_who_breaks_off_goes_on_where_it_stopped(
    running: Stack, http: httpx2.AsyncClient, simulated: ProviderProcess
) -> None:
    job_id = running.submit("assistant", scripted(turns=[{"text": LONG_TEXT, "tokens_per_second": 150}]))
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["type"] != "job.succeeded":
        async with reading(http, job_id, seen[-1]["id"] if seen else None) as reader:
            async for event in reader:
                seen.append(event)
                if len(seen) % 4 == 0:
                    break
    without_gaps(seen)
    assert texts(seen) == {1: LONG_TEXT}
    async with reading(http, job_id, seen[-1]["id"]) as reader:
        assert reader.status == 204, "an EventSource stops for good"


async def test_an_answer_that_broke_off_is_taken_back(
    running: Stack, http: httpx2.AsyncClient, simulated: ProviderProcess
) -> None:
    turn = {"text": LONG_TEXT, "fault": "drop_mid", "times": 1, "tokens_per_second": 150}
    job_id = running.submit("assistant", scripted(turns=[turn]))
    seen = await stream_of(http, job_id)
    without_gaps(seen)
    assert types(seen).count("turn.restarted") == 1
    assert "text.delta" in types(seen)[: types(seen).index("turn.restarted")]
    assert texts(seen) == {1: LONG_TEXT}


async def test_a_worker_killed_in_mid_turn_is_told_and_its_text_taken_back(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1, SLUICE_QUEUE__LEASE_SECONDS="1.5") as running:
        prompt = scripted(
            turns=[{"text": "First. ", "tools": [{"name": "clock"}]}, {"text": LONG_TEXT, "tokens_per_second": 150}]
        )
        job_id = running.submit("researcher", prompt)
        seen: list[dict[str, Any]] = []
        async with client(running.api.url) as http, reading(http, job_id) as reader:
            killed = False
            async for event in reader:
                seen.append(event)
                if not killed and event["type"] == "text.delta" and event["data"]["turn"] == 2:
                    running.workers[0].signal(signal.SIGKILL)
                    running.add_worker()
                    killed = True
        without_gaps(seen)
        story = [kind for kind, after in pairwise([*types(seen), ""]) if (kind, after) != ("text.delta", "text.delta")]
        assert story == [
            "job.queued",
            "job.running",
            "turn.started",
            "text.delta",
            "turn.completed",
            "tool.started",
            "tool.completed",
            "turn.started",
            "text.delta",
            "job.queued",
            "job.running",
            "turn.restarted",
            "text.delta",
            "turn.completed",
            "job.succeeded",
        ]
        assert next(event for event in seen if event["data"].get("worker_lost"))["type"] == "job.queued"
        assert texts(seen) == {1: "First. ", 2: LONG_TEXT} | {2: running.job(job_id)["output"]}
