"""A custom agent in real workers: killed, drained, parked and cancelled in the middle of its function."""

import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.agents.chores import times
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until


@pytest.fixture
async def alone(redis: Redis, redis_server: RedisServer, provider: ProviderProcess) -> AsyncIterator[Stack]:
    """An api and one worker, which may be killed."""
    settings = {
        "SLUICE_WORKER__AGENTS": json.dumps(["tests.agents.errands"]),
        "SLUICE_QUEUE__LEASE_SECONDS": "1.5",
        "SLUICE_WORKER__PARK_AFTER_SECONDS": "1",
        "EFFECTS_URL": redis_server.url,
    }
    with stack(redis_server.url, provider.url, **settings) as running:
        yield running
    await redis.delete(times("errands"))


def send(running: Stack, *todo: dict[str, Any], **options: Any) -> str:
    budget = options.pop("budget", {})
    return running.submit("errands", json.dumps({"todo": todo, **options}), budget=budget)


async def done(redis: Redis, job_id: str) -> dict[str, int]:
    """How often each step of the job was done."""
    marks: dict[str, str] = await redis.hgetall(times("errands"))
    return {key.removeprefix(f"{job_id}/"): int(count) for key, count in marks.items() if key.startswith(job_id)}


async def busy(provider: ProviderProcess, prompt: str) -> None:
    """Returns while the model answers this prompt."""

    def asked() -> bool:
        calls = conversation(provider.calls(), prompt)
        return bool(calls) and calls[-1]["finished"] is None

    await until(asked)


def bought(provider: ProviderProcess, prompt: str) -> int:
    return sum(call["completed"] for call in conversation(provider.calls(), prompt))


async def test_a_worker_killed_in_the_middle_costs_the_call_in_flight_and_nothing_else(
    alone: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    first, second, third = (scripted(turns=[{"text": text}], latency=0.3) for text in ("one", "two", "three"))
    job_id = send(
        alone,
        {"step": "a"},
        {"ask": first},
        {"step": "pay", "effect": "irreversible"},
        {"together": [{"step": "b"}, {"ask": second}]},
        {"step": "a"},
        {"ask": third},
    )
    await busy(provider, third)

    alone.workers[0].signal(signal.SIGKILL)
    alone.add_worker()
    job = alone.finished(job_id)

    assert job["status"] == "succeeded", job
    assert json.loads(job["output"]) == ["a is done", "one", "pay is done", ["b is done", "two"], "a is done", "three"]
    assert (job["usage"]["turns"], job["usage"]["model_calls"], job["attempt"]) == (3, 3, 2)
    assert await done(redis, job_id) == {"a/1": 1, "pay/1": 1, "b/1": 1, "a/2": 1}
    assert [bought(provider, prompt) for prompt in (first, second)] == [1, 1]
    assert len(conversation(provider.calls(), third)) == 2
    transcript = alone.http.get(f"/v1/jobs/{job_id}/turns").json()
    assert [turn["content"][0]["text"] for turn in transcript["data"]] == ["one", "two", "three"]
    assert [step["name"] for step in transcript["steps"]] == ["a", "pay", "b", "a"]
    events = alone.http.get(f"/v1/jobs/{job_id}/events", params={"limit": 1000}).json()["data"]
    assert sum(event["type"] == "turn.completed" for event in events) == 3


@pytest.mark.parametrize("effect", ["irreversible", "idempotent"])
async def test_killed_in_the_middle_of_a_step(
    alone: Stack, redis: Redis, provider: ProviderProcess, effect: str
) -> None:
    prompt = scripted(turns=[{"text": "one"}])
    job_id = send(alone, {"ask": prompt}, {"step": "pay", "effect": effect, "seconds": 3})

    async def begun() -> bool:
        return bool(await done(redis, job_id))

    await until(begun)
    alone.workers[0].signal(signal.SIGKILL)
    alone.add_worker()
    job = alone.finished(job_id)

    assert bought(provider, prompt) == 1
    if effect == "idempotent":
        assert job["status"] == "succeeded", job
        assert await done(redis, job_id) == {"pay/1": 2}, "twice with the same key"
        return
    assert (job["status"], job["error"]["code"], job["error"]["retryable"]) == ("failed", "outcome_unknown", False)
    assert await done(redis, job_id) == {"pay/1": 1}
    (step,) = alone.http.get(f"/v1/jobs/{job_id}/turns").json()["steps"]
    assert (step["name"], step["outcome"]) == ("pay", "unknown")


async def test_a_drain_ends_the_call_and_another_worker_goes_on(
    alone: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    first, second = scripted(turns=[{"text": "one"}], latency=0.5), scripted(turns=[{"text": "two"}])
    job_id = send(alone, {"step": "a"}, {"ask": first}, {"step": "b"}, {"ask": second})
    await busy(provider, first)

    alone.workers[0].signal(signal.SIGTERM)
    assert alone.workers[0].wait(10) == 0
    given_back = alone.job(job_id)
    assert (given_back["status"], given_back["wait_reason"]) == ("queued", "capacity")
    assert await done(redis, job_id) == {"a/1": 1}, "no step is begun by a worker that leaves"
    alone.add_worker()
    job = alone.finished(job_id)

    assert (job["status"], job["attempt"]) == ("succeeded", 1), job
    assert await done(redis, job_id) == {"a/1": 1, "b/1": 1}
    assert (bought(provider, first), bought(provider, second)) == (1, 1)


async def test_an_outage_parks_it_whatever_its_function_catches(
    alone: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    first, second = (scripted(turns=[{"text": text}]) for text in ("one", "two"))
    job_id = send(alone, {"ask": first}, {"step": "a", "seconds": 1}, {"ask": second}, stubborn=True)

    async def begun() -> bool:
        return bool(await done(redis, job_id))

    await until(begun)
    provider.set_fault("529")
    parked = alone.until(job_id, "queued", seconds=60)
    assert parked["wait_reason"] == "provider_outage"
    provider.set_fault(None)
    job = alone.finished(job_id, seconds=60)

    assert (job["status"], json.loads(job["output"])) == ("succeeded", ["one", "a is done", "two"])
    assert (job["attempt"], job["usage"]["turns"]) == (1, 2)
    assert await done(redis, job_id) == {"a/1": 1}
    assert (bought(provider, first), bought(provider, second)) == (1, 1)


@pytest.mark.parametrize("middle", [{"step": "a", "seconds": 30}, {"step": "a", "sync": True, "seconds": 4}])
async def test_a_cancel_ends_it_in_the_middle_of_a_step(
    alone: Stack, provider: ProviderProcess, middle: dict[str, Any]
) -> None:
    before, after = (scripted(turns=[{"text": text}]) for text in ("before", "after"))
    job_id = send(alone, {"ask": before}, middle, {"ask": after})
    await until(lambda: alone.job(job_id)["usage"]["turns"] == 1)

    alone.http.post(f"/v1/jobs/{job_id}/cancel")
    job = alone.finished(job_id, seconds=3)

    assert job["status"] == "cancelled"
    assert bought(provider, after) == 0


@pytest.mark.parametrize(
    ("budget", "reason"), [({"max_turns": 1}, "max_turns"), ({"max_seconds": 1}, "deadline_exceeded")]
)
async def test_its_limits_end_it_with_what_there_is(
    alone: Stack, provider: ProviderProcess, budget: dict[str, int], reason: str
) -> None:
    first, second = scripted(turns=[{"text": "one"}]), scripted(turns=[{"text": "two"}], latency=30)
    job = alone.finished(send(alone, {"ask": first}, {"ask": second}, budget=budget, stubborn=True))

    assert (job["status"], job["incomplete_details"]["reason"], job["output"]) == ("incomplete", reason, "one")


async def test_an_input_that_does_not_fit_is_refused(alone: Stack) -> None:
    send(alone, {"step": "a"})
    answer = alone.http.post("/v1/jobs", json={"agent": "errands", "input": '{"todo": "everything"}'})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "#/input", "detail": "must be array (at /todo of the JSON)"}]
