"""A worker that dies costs at most the turn in flight."""

import json
import signal

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import keys
from shared.redis_client import Redis
from shared.sections import QueueSettings
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until

QUICK_LEASE = {"SLUICE_QUEUE__LEASE_SECONDS": "1.5"}


async def in_turn(provider: ProviderProcess, prompt: str, turn: int) -> None:
    """Returns while the model is busy with that turn."""

    def busy() -> bool:
        calls = conversation(provider.calls(), prompt)
        return len(calls) == turn and calls[-1]["finished"] is None

    await until(busy)


async def test_kill_in_the_middle_of_turn_3_of_5_buys_no_finished_turn_again(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1, **QUICK_LEASE) as running:
        prompt = scripted(turns=5, tool="clock", latency=0.4)
        job_id = running.submit("researcher", prompt)
        await in_turn(provider, prompt, 3)

        running.workers[0].signal(signal.SIGKILL)
        running.add_worker()
        job = running.finished(job_id)

        assert job["status"] == "succeeded", job
        calls = conversation(provider.calls(), prompt)
        completed = [call for call in calls if call["completed"]]
        assert len(completed) == 5
        assert len(calls) == 6, "only the turn in flight may be bought again"
        assert job["usage"]["turns"] == 5
        assert job["usage"]["model_calls"] == 5
        assert job["usage"]["tool_calls"] == 4
        assert await redis.hget(keys.job(job_id), "crashes") == "1"


async def test_as_shipped_a_killed_worker_is_missed_sooner_than_its_lease(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1) as running:
        prompt = scripted(turns=2, tool="clock", latency=6)
        running.submit("researcher", prompt)
        await in_turn(provider, prompt, 1)
        running.add_worker()

        running.workers[0].signal(signal.SIGKILL)

        await until(lambda: len(conversation(provider.calls(), prompt)) == 2, seconds=QueueSettings().lease_seconds)


async def test_many_jobs_survive_the_death_of_their_worker(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=2, **QUICK_LEASE) as running:
        prompts = [scripted(turns=3, tool="calculator", latency=0.1) for _ in range(30)]
        jobs = [running.submit("researcher", prompt) for prompt in prompts]
        await until(lambda: sum(call["completed"] for call in provider.calls()) >= 20)

        running.workers[0].signal(signal.SIGKILL)

        for job_id, prompt in zip(jobs, prompts, strict=True):
            job = running.finished(job_id, seconds=60)
            assert job["status"] == "succeeded", job
            assert job["usage"]["turns"] == 3
            bought = [call for call in conversation(provider.calls(), prompt) if call["completed"]]
            assert len(bought) <= 4, "at most the turn in flight is bought twice"


async def test_a_person_is_asked_about_a_tool_that_must_not_run_twice_after_a_crash(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    agents = {"SLUICE_WORKER__AGENTS": json.dumps(["tests.agents.effects"]), **QUICK_LEASE}
    with stack(redis_server.url, provider.url, workers=1, **agents) as running:
        prompt = scripted(
            turns=[{"tools": [{"name": "launch", "input": {"key": "effects:launched"}}]}, {"text": "done"}]
        )
        job_id = running.submit("effects", prompt, metadata={"redis": redis_server.url})
        await until_async_key(redis, "effects:launched")

        running.workers[0].signal(signal.SIGKILL)
        running.add_worker()
        (action,) = running.asked(job_id)
        assert (action["kind"], action["tool"]) == ("outcome", "launch")
        running.decide(action, "done")
        job = running.finished(job_id)

        assert job["status"] == "succeeded", job
        assert await redis.get("effects:launched") == "1", "the effect happened once"
        (result,) = running.results(job_id)
        assert not result["is_error"]
        assert "A person has checked that this call happened" in result["content"]
        await redis.delete("effects:launched")


async def until_async_key(redis: Redis, key: str) -> None:
    async def there() -> bool:
        return await redis.get(key) is not None

    await until(there)


@pytest.mark.parametrize("crashes", [2])
async def test_a_job_that_keeps_killing_its_worker_ends_failed(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess, crashes: int
) -> None:
    settings = {
        "SLUICE_WORKER__AGENTS": json.dumps(["tests.agents.effects"]),
        "SLUICE_QUEUE__MAX_CRASHES": str(crashes),
        "SLUICE_QUEUE__LEASE_SECONDS": "1",
    }
    with Stack(redis_server.url, provider.url, **settings) as running:
        worker = running.add_worker()
        job_id = running.submit("effects", scripted(turns=[{"tools": [{"name": "die", "input": {}}]}, {"text": "no"}]))
        for _ in range(crashes):
            assert worker.wait(20) is not None, "the tool kills its worker"
            worker = running.add_worker()

        job = running.finished(job_id)

        assert job["status"] == "failed", job
        assert job["error"]["code"] == "worker_crashed"
        assert worker.is_running
