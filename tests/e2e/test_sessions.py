"""Sessions through real processes: jobs that know what was said before, whichever worker takes them."""

import os
import signal
from itertools import pairwise
from typing import Any

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import ids, keys
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until


@pytest.fixture
def session() -> str:
    """A session of its own for each test: the stack is shared."""
    return ids.new_call_id()


def texts(messages: list[dict[str, Any]]) -> list[str]:
    """What was said, message by message, without tool calls and their results."""
    return [
        content if isinstance(content, str) else "".join(block.get("text", "") for block in content)
        for content in (message["content"] for message in messages)
    ]


def test_each_job_of_a_session_knows_what_was_said_before(
    running: Stack, simulated: ProviderProcess, session: str
) -> None:
    first = scripted(turns=[{"text": "Pleased to meet you, Ada."}])
    asked = [first, "What is my name?", "And what did I ask before?"]

    jobs = [running.submit("assistant", one, session_id=session) for one in asked]
    ended = [running.finished(job_id) for job_id in jobs]

    assert [job["status"] for job in ended] == ["succeeded"] * 3
    for before, after in pairwise(ended):
        assert before["finished_at"] <= after["started_at"], "one after the other"
    calls = conversation(simulated.calls(), first)
    assert [call["messages"] for call in calls] == [1, 3, 5], "each is sent all that came before"
    kept = running.http.get(f"/v1/sessions/{session}").json()
    said = [text for one, job in zip(asked, ended, strict=True) for text in (one, job["output"])]
    assert texts(kept["messages"]) == said
    assert kept["live_job"] is None


def test_what_was_said_before_is_read_from_the_providers_cache(running: Stack, session: str) -> None:
    long = "Keep this in mind: " + "the quick brown fox jumps over the lazy dog. " * 200
    first = running.finished(running.submit("assistant", long, session_id=session))

    second = running.finished(running.submit("assistant", "Again, please.", session_id=session))
    alone = running.finished(running.submit("assistant", [*_said(first), _user("Again, please.")]))

    assert second["usage"]["cache_read_input_tokens"] > 2000
    assert float(second["usage"]["cost_usd"]) < float(alone["usage"]["cost_usd"]) / 2


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _said(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [_user(job["input"]), {"role": "assistant", "content": job["output"]}]


def test_agents_with_and_without_tools_share_a_session(running: Stack, session: str) -> None:
    looked_up = scripted(turns=[{"tools": [{"name": "clock"}]}, {"text": "It is noon."}])
    for agent, asked in (("researcher", looked_up), ("assistant", "Is it late?"), ("researcher", "How late is it?")):
        job = running.finished(running.submit(agent, asked, session_id=session))
        assert job["status"] == "succeeded", job


async def test_a_job_that_was_cancelled_in_the_middle_is_told_of(
    running: Stack, simulated: ProviderProcess, session: str
) -> None:
    long = scripted(turns=[{"text": "First I look.", "tools": [{"name": "clock"}]}, {"text": "x", "latency": 30}])
    following = scripted(turns=[{"text": "I had looked."}])
    cancelled = running.submit("researcher", long, session_id=session)
    next_one = running.submit("researcher", following, session_id=session)
    await until(lambda: len(conversation(simulated.calls(), long)) == 2)

    running.http.post(f"/v1/jobs/{cancelled}/cancel")

    assert running.finished(next_one)["status"] == "succeeded"
    kept = running.http.get(f"/v1/sessions/{session}").json()
    assert [job["status"] for job in kept["jobs"]] == ["cancelled", "succeeded"]
    assert texts(kept["messages"]) == [long, "First I look.", "", following, "I had looked."]


async def test_a_session_goes_on_when_a_worker_is_killed_in_the_middle(
    redis: Any, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=2, SLUICE_QUEUE__LEASE_SECONDS="1.5") as running:
        first, others = scripted(turns=3, tool="clock", latency=1), ["And then?", "And then, again?"]
        jobs = [running.submit("researcher", one, session_id="chat") for one in (first, *others)]
        await until(lambda: len(conversation(provider.calls(), first)) == 2)
        assert [running.job(job_id)["wait_reason"] for job_id in jobs[1:]] == ["session_busy"] * 2

        await kill_who_runs(redis, jobs[0])
        ended = [running.finished(job_id) for job_id in jobs]

        assert [job["status"] for job in ended] == ["succeeded"] * 3
        assert await redis.hget(keys.job(jobs[0]), "crashes") == "1"
        assert ended[0]["usage"]["turns"] == 3
        for before, after in pairwise(ended):
            assert before["finished_at"] <= after["started_at"]
        kept = running.http.get("/v1/sessions/chat").json()
        assert [job["id"] for job in kept["jobs"]] == jobs, "each once"
        asked = [text for text in texts(kept["messages"]) if text in (first, *others)]
        assert asked == [first, *others]


async def kill_who_runs(redis: Any, job_id: str) -> None:
    """The worker that holds the job; its name has its process in it."""
    owner = await redis.hget(keys.LEASES, job_id)
    os.kill(int(owner.split(":")[1]), signal.SIGKILL)
