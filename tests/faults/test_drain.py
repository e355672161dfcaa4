"""A deploy: SIGTERM lets turns end, another worker goes on with the journal, nothing is bought twice."""

import signal

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock
from shared.redis_client import Redis
from tests.faults.test_worker_killed import in_turn
from tests.prompts import conversation, scripted
from tests.stack import stack
from tests.waiting import until


async def test_a_drained_worker_ends_its_turn_and_another_goes_on(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1) as running:
        prompt = scripted(turns=5, tool="clock", latency=0.5)
        job_id = running.submit("researcher", prompt)
        await in_turn(provider, prompt, 2)

        running.workers[0].signal(signal.SIGTERM)
        assert running.workers[0].wait(10) == 0
        job = running.job(job_id)
        assert (job["status"], job["wait_reason"]) == ("queued", "capacity")
        assert job["usage"]["turns"] == 2, "the turn in flight was ended"

        running.add_worker()
        job = running.finished(job_id)
        assert job["status"] == "succeeded", job
        assert job["attempt"] == 1
        calls = conversation(provider.calls(), prompt)
        assert [call["completed"] for call in calls] == [True] * 5, "no turn was bought twice"


async def test_a_second_signal_gives_the_jobs_back_at_once(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1) as running:
        prompt = scripted(latency=30)
        job_id = running.submit("assistant", prompt)
        await in_turn(provider, prompt, 1)

        started = clock.monotonic()
        running.workers[0].signal(signal.SIGTERM)
        assert running.workers[0].wait(1) is None, "the turn may end"
        running.workers[0].signal(signal.SIGTERM)

        assert running.workers[0].wait(10) == 0
        assert clock.monotonic() - started < 10
        assert running.job(job_id)["status"] == "queued"


async def test_a_signal_that_comes_as_the_worker_leaves_does_not_spoil_its_exit(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1) as running:
        worker = running.workers[0]
        worker.signal(signal.SIGTERM)
        await until(lambda: any(line.get("event") == "stopped" for line in worker.log))

        worker.signal(signal.SIGTERM)

        assert worker.wait(10) == 0


async def test_drain_seconds_is_the_longest_a_drain_takes(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1, SLUICE_WORKER__DRAIN_SECONDS="0.5") as running:
        prompt = scripted(latency=30)
        job_id = running.submit("assistant", prompt)
        await in_turn(provider, prompt, 1)

        running.workers[0].signal(signal.SIGTERM)

        assert running.workers[0].wait(10) == 0
        assert running.job(job_id)["status"] == "queued"


async def test_a_job_that_waits_for_capacity_is_not_touched_by_a_deploy(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1, SLUICE_WORKER__MAX_IN_FLIGHT="1") as running:
        first = scripted(turns=2, tool="clock", latency=0.5)
        jobs = [running.submit("researcher", first), *(running.submit("assistant", f"wait {n}") for n in range(3))]
        await in_turn(provider, first, 1)

        running.workers[0].signal(signal.SIGTERM)
        assert running.workers[0].wait(10) == 0
        assert {running.job(job_id)["status"] for job_id in jobs} == {"queued"}

        running.add_worker()
        assert {running.finished(job_id)["status"] for job_id in jobs} == {"succeeded"}
