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


async def killed_in_the_middle_of_a_step(
    running: Stack, redis: Redis, provider: ProviderProcess, **options: Any
) -> tuple[str, str]:
    """The job's id, and the prompt that comes before its step `pay`, which has had its effect once."""
    prompt = scripted(turns=[{"text": "one"}])
    job_id = send(running, {"ask": prompt}, {"step": "pay", "seconds": 3} | options, {"step": "then"})

    async def begun() -> bool:
        return bool(await done(redis, job_id))

    await until(begun)
    running.workers[0].signal(signal.SIGKILL)
    running.add_worker()
    return job_id, prompt


async def test_killed_in_the_middle_of_a_step_that_may_run_again(
    alone: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    job_id, prompt = await killed_in_the_middle_of_a_step(alone, redis, provider, effect="idempotent")
    job = alone.finished(job_id)

    assert job["status"] == "succeeded", job
    assert await done(redis, job_id) == {"pay/1": 2, "then/1": 1}, "twice with the same key"
    assert bought(provider, prompt) == 1


@pytest.mark.parametrize(
    ("decision", "output", "paid"),
    [
        ({"decision": "done", "result": "Ada has seen it"}, "Ada has seen it", 1),
        ({"decision": "not_done"}, "pay is done", 2),
    ],
)
async def test_killed_in_the_middle_of_one_that_must_not_a_person_is_asked(
    alone: Stack, redis: Redis, provider: ProviderProcess, decision: dict[str, Any], output: str, paid: int
) -> None:
    job_id, prompt = await killed_in_the_middle_of_a_step(alone, redis, provider, effect="irreversible")

    (action,) = alone.asked(job_id)

    assert (action["kind"], action["tool"], action["tool_call_id"]) == ("outcome", "pay", "pay/1")
    assert (action["effect"], action["turn"], action["decisions"]) == ("irreversible", 1, ["done", "not_done"])
    assert action["input"] == {"name": "pay", "key": f"{job_id}/pay/1", "seconds": 3}
    assert alone.http.get("/v1/actions").json()["data"] == [action]
    assert await done(redis, job_id) == {"pay/1": 1}
    alone.decide(action, **decision)
    job = alone.finished(job_id)
    assert (job["status"], json.loads(job["output"])) == ("succeeded", ["one", output, "then is done"])
    assert await done(redis, job_id) == {"pay/1": paid, "then/1": 1}
    assert bought(provider, prompt) == 1
    step, _ = alone.http.get(f"/v1/jobs/{job_id}/turns").json()["steps"]
    assert (step["outcome"], [one["decision"] for one in step["decisions"]]) == ("succeeded", [decision["decision"]])


async def test_killed_in_the_middle_of_one_with_a_verify_nobody_is_asked(
    alone: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    job_id, _ = await killed_in_the_middle_of_a_step(alone, redis, provider, effect="irreversible", verify=True)
    job = alone.finished(job_id)

    assert (job["status"], json.loads(job["output"])) == ("succeeded", ["one", "seen", "then is done"])
    assert await done(redis, job_id) == {"pay/1": 1, "then/1": 1}


async def test_a_fork_buys_and_does_only_what_is_new(alone: Stack, redis: Redis, provider: ProviderProcess) -> None:
    first, second = scripted(turns=[{"text": "one"}]), scripted(turns=[{"text": "two"}])
    old = alone.finished(send(alone, {"step": "a"}, {"ask": first}, {"step": "b"}, {"ask": second}, {"step": "c"}))
    assert old["status"] == "succeeded"

    fork = alone.finished(alone.client.fork(old["id"], 1)["id"])

    assert (fork["status"], fork["output"], fork["usage"]["turns"]) == ("succeeded", old["output"], 1)
    assert (bought(provider, first), bought(provider, second)) == (1, 2)
    assert await done(redis, old["id"]) == {"a/1": 1, "b/1": 1, "c/1": 1}
    assert await done(redis, fork["id"]) == {"c/1": 1}, "b was done before turn 2 was bought; c is another one's"
    refused = alone.http.post(f"/v1/jobs/{old['id']}/fork", json={"from_turn": 1, "message": "Otherwise."})
    assert (refused.status_code, refused.json()["code"]) == (409, "hears_no_messages")


async def test_a_retry_goes_on_with_what_was_under_way_under_the_key_it_had(
    alone: Stack, redis: Redis, provider: ProviderProcess
) -> None:
    prompt = scripted(turns=[{"text": "one"}])
    job_id = send(
        alone, {"ask": prompt}, {"step": "b"}, {"step": "pay", "effect": "irreversible", "seconds": 30}, {"step": "c"}
    )

    async def begun() -> bool:
        return "pay/1" in await done(redis, job_id)

    await until(begun)
    alone.client.cancel(job_id)
    assert alone.finished(job_id)["status"] == "cancelled"

    again = alone.client.retry(job_id)["id"]
    (action,) = alone.asked(again)
    assert (action["tool"], action["input"]["key"]) == ("pay", f"{job_id}/pay/1")
    alone.client.decide(again, action["id"], "done", result="paid")
    job = alone.finished(again)

    assert (job["status"], json.loads(job["output"])) == ("succeeded", ["one", "b is done", "paid", "c is done"])
    assert (job["usage"]["turns"], bought(provider, prompt)) == (0, 1)
    assert await done(redis, job_id) == {"b/1": 1, "pay/1": 1, "c/1": 1}


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
