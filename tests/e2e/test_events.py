"""Following a job while real workers run it: nothing is lost, nothing is told twice, and a death is told."""

import signal
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx2
import pytest

from client.sluice_client import AsyncSluice, Event
from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock
from shared.redis_client import Redis
from tests.api.talk import QUICK_CLIENT
from tests.prompts import scripted
from tests.stack import Stack, stack

LONG_TEXT = "Grüße \N{SNOWMAN} from the model, word after word. " * 30


@pytest.fixture
async def sluice(running: Stack) -> AsyncIterator[AsyncSluice]:
    async with httpx2.AsyncClient(**QUICK_CLIENT) as http:
        yield AsyncSluice(running.api.url, http=http)


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def texts(events: list[Event]) -> dict[int, str]:
    """The text of each turn as a reader of these events has it in the end."""
    said: dict[int, str] = {}
    for event in events:
        if event["type"] in ("turn.started", "turn.restarted"):
            said[event["data"]["turn"]] = ""
        elif event["type"] == "text.delta":
            said[event["data"]["turn"]] += event["data"]["text"]
    return said


def without_gaps(events: list[Event], first: int = 1) -> None:
    assert [event["id"] for event in events] == list(range(first, first + len(events)))


async def test_a_job_is_followed_live(running: Stack, sluice: AsyncSluice, simulated: ProviderProcess) -> None:
    job_id = running.submit("assistant", scripted(turns=[{"text": LONG_TEXT, "tokens_per_second": 150}]))
    seen, at = [], []
    async for event in sluice.stream(job_id):
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
    listed = running.http.get(f"/v1/jobs/{job_id}/events", params={"limit": 1000})
    assert seen == listed.json()["data"]
    assert running.http.get(f"/v1/jobs/{job_id}/events?starting_after={len(seen)}").status_code == 204


async def test_a_job_that_nobody_followed_has_the_same_story(running: Stack, sluice: AsyncSluice) -> None:
    prompt = scripted(turns=[{"text": "Let me see. ", "tools": [{"name": "clock"}]}, {"text": LONG_TEXT}])
    job = running.finished(running.submit("researcher", prompt))
    events = [event async for event in sluice.stream(job["id"])]
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
    running: Stack, sluice: AsyncSluice, simulated: ProviderProcess
) -> None:
    job_id = running.submit("assistant", scripted(turns=[{"text": LONG_TEXT, "tokens_per_second": 150}]))
    seen: list[Event] = []
    while not seen or seen[-1]["type"] != "job.succeeded":
        async for event in sluice.stream(job_id, after=seen[-1]["id"] if seen else 0):
            seen.append(event)
            if len(seen) % 4 == 0:
                break
    without_gaps(seen)
    assert texts(seen) == {1: LONG_TEXT}
    assert [event async for event in sluice.stream(job_id, after=seen[-1]["id"])] == [], "it stops for good"


async def test_an_answer_that_broke_off_is_taken_back(
    running: Stack, sluice: AsyncSluice, simulated: ProviderProcess
) -> None:
    turn = {"text": LONG_TEXT, "fault": "drop_mid", "times": 1, "tokens_per_second": 150}
    job_id = running.submit("assistant", scripted(turns=[turn]))
    seen = [event async for event in sluice.stream(job_id)]
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
        seen: list[Event] = []
        killed = False
        for event in running.client.stream(job_id):
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
