"""A chain of two targets: in an outage the second serves and says so; drills; nobody hops back in the middle of a job.

The simulated provider has both models, each with limits of its own, and fails for one alone when it is told to.
"""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.journal import from_json
from shared.redis_client import Redis
from shared.turn import ModelRecord
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until
from worker.chain import Chain

SONNET, HAIKU = "claude-sonnet-4-6", "claude-haiku-4-5"
TWO = {
    "SLUICE_QUEUE__LEASE_SECONDS": "1.5",
    "SLUICE_TARGETS__SPARE__MODEL": HAIKU,
    "SLUICE_TARGETS__SPARE__REQUESTS_PER_MINUTE": "4000",
    "SLUICE_TARGETS__SPARE__INPUT_TOKENS_PER_MINUTE": "2000000",
    "SLUICE_TARGETS__SPARE__OUTPUT_TOKENS_PER_MINUTE": "400000",
    "SLUICE_CHAINS__DEFAULT__TARGETS": json.dumps(["default", "spare"]),
}


@pytest.fixture
def two(redis: Redis, redis_server: RedisServer, provider: ProviderProcess) -> Iterator[Stack]:
    with stack(redis_server.url, provider.url, workers=1, **TWO) as running:
        yield running


def score(running: Stack) -> dict[str, Any]:
    """The chain as `GET /v1/limits` shows it."""
    (chain,) = running.client.request("GET", "/v1/limits")["chains"]
    return dict(chain)


async def turns(redis: Redis, job_id: str) -> list[tuple[str, str]]:
    """By which target, and as what, each turn was served."""
    lines = await redis.lrange(f"sluice:job:{job_id}:turns", 0, -1)
    records = [record for line in lines if isinstance(record := from_json(line), ModelRecord)]
    return [(record.target, record.served_as) for record in records]


def models(provider: ProviderProcess, prompt: str) -> list[str]:
    """Which model completed each call of this prompt."""
    return [call["model"] for call in conversation(provider.calls(), prompt) if call["completed"]]


async def test_while_the_first_is_down_all_jobs_succeed_on_the_second(
    two: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    provider.set_fault("529", model=SONNET)
    jobs = [two.submit("researcher", scripted(turns=2, tool="clock")) for _ in range(12)]
    for job_id in jobs:
        job = two.finished(job_id)
        assert job["status"] == "succeeded", job
        assert job["attempt"] == 1, "nobody was parked"
        assert job["model"] == {"requested": "default", "served": HAIKU, "fallback": True, "drill": False}
        assert await turns(redis, job_id) == [("spare", "fallback")] * 2

    found = score(two)
    assert found["fallback_ready"], found
    first, second = found["targets"]
    assert first["success"] < 1
    assert (second["calls"], second["success"]) == (24, 1)
    assert (second["tool_calls"], second["tool_calls_valid"]) == (12, 1)
    assert second["latency_ms"] > 0
    assert float(second["cost_usd"]) > 0

    provider.set_fault(None)

    async def back() -> bool:
        job = two.finished(two.submit("assistant", scripted(turns=[{"text": "hello"}])))
        assert job["status"] == "succeeded", job
        return bool(job["model"]["served"] == SONNET and not job["model"]["fallback"])

    await until(back, seconds=60)


async def test_a_conversation_stays_on_the_second_across_a_crash_when_the_first_is_back(
    two: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    provider.set_fault("529", model=SONNET)
    prompt = scripted(turns=3, tool="clock", latency=0.5)
    job_id = two.submit("researcher", prompt)

    def in_turn_2() -> bool:
        calls = [call for call in conversation(provider.calls(), prompt) if call["model"] == HAIKU]
        return len(calls) == 2 and calls[-1]["finished"] is None

    await until(in_turn_2)
    provider.set_fault(None)
    two.workers[0].signal(signal.SIGKILL)
    two.add_worker()

    job = two.finished(job_id)

    assert job["status"] == "succeeded", job
    assert await turns(redis, job_id) == [("spare", "fallback")] * 3
    assert set(models(provider, prompt)) == {HAIKU}
    new = two.finished(two.submit("assistant", scripted(turns=[{"text": "hello"}])), seconds=60)
    assert new["status"] == "succeeded"


async def test_a_job_whose_target_fails_in_its_middle_goes_on_with_the_next(two: Stack, redis: Redis) -> None:
    tools = [{"name": "clock", "input": {}}]
    prompt = scripted(turns=[{"tools": tools}, {"fault": "529", "model": SONNET, "tools": tools}, {"text": "done"}])

    job_id = two.submit("researcher", prompt)
    job = two.finished(job_id, seconds=60)

    assert (job["status"], job["output"], job["attempt"]) == ("succeeded", "done", 1), job
    assert await turns(redis, job_id) == [("default", "first"), ("spare", "fallback"), ("spare", "fallback")]


async def test_an_outage_of_both_parks_and_whoever_is_back_first_serves(two: Stack, provider: ProviderProcess) -> None:
    provider.set_fault("529")
    job_id = two.submit("assistant", scripted(turns=[{"text": "after the storm"}]))

    async def parked() -> bool:
        return two.job(job_id)["wait_reason"] == "provider_outage"

    await until(parked, seconds=60)
    provider.set_fault("529", model=SONNET)
    job = two.finished(job_id, seconds=60)

    assert (job["status"], job["model"]["served"]) == ("succeeded", HAIKU), job


async def test_drills_go_to_the_second_by_their_ids_and_its_outage_fails_and_parks_nobody(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    drills = {**TWO, "SLUICE_CHAINS__DEFAULT__DRILL_PERCENT": "40"}
    with stack(redis_server.url, provider.url, workers=1, **drills) as running:
        like = Chain("default", (None, None), 40)  # type: ignore[arg-type]
        jobs = [running.submit("assistant", scripted(turns=[{"text": "hello"}])) for _ in range(30)]
        ended = {job_id: running.finished(job_id) for job_id in jobs}
        drilled = {job_id for job_id in jobs if like.drills(job_id)}

        assert {job["status"] for job in ended.values()} == {"succeeded"}
        assert drilled, "thirty jobs and not one of them"
        assert {job_id for job_id, job in ended.items() if job["model"]["drill"]} == drilled
        assert {job_id for job_id, job in ended.items() if job["model"]["served"] == HAIKU} == drilled
        assert score(running)["targets"][1]["calls"] == len(drilled)

        provider.set_fault("529", model=HAIKU)
        jobs = [running.submit("assistant", scripted(turns=[{"text": "hello"}])) for _ in range(15)]
        ended = {job_id: running.finished(job_id, seconds=60) for job_id in jobs}

        assert {job["status"] for job in ended.values()} == {"succeeded"}
        assert {job["attempt"] for job in ended.values()} == {1}, "nobody was parked"
        assert not any(job["model"]["drill"] or job["model"]["fallback"] for job in ended.values())
