"""A tool that blocks the event loop, as tools do: its worker is slow, not dead, and keeps its jobs."""

import json

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.faults.test_worker_killed import until_async_key
from tests.prompts import conversation, scripted
from tests.stack import stack

_LEASE_SECONDS = 2
_BLOCKED_SECONDS = 3 * _LEASE_SECONDS
_KEY = "effects:hogged"


async def test_a_worker_whose_loop_is_blocked_for_three_leases_keeps_its_jobs(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    settings = {
        "SLUICE_WORKER__AGENTS": json.dumps(["tests.agents.effects"]),
        "SLUICE_QUEUE__LEASE_SECONDS": str(_LEASE_SECONDS),
    }
    with stack(redis_server.url, provider.url, workers=1, **settings) as running:
        blocking = scripted(
            turns=[
                {"tools": [{"name": "hog", "input": {"key": _KEY, "seconds": _BLOCKED_SECONDS}}]},
                {"text": "done"},
            ]
        )
        neighbour = scripted(latency=_BLOCKED_SECONDS / 2)
        jobs = {running.submit("effects", neighbour): neighbour, running.submit("effects", blocking): blocking}
        await until_async_key(redis, _KEY)
        running.add_worker()  # it would take what the blocked one lost

        for job_id, prompt in jobs.items():
            job = running.finished(job_id)
            assert (job["status"], job["attempt"]) == ("succeeded", 1), job
            calls = conversation(provider.calls(), prompt)
            assert all(call["completed"] for call in calls)
            assert len(calls) == job["usage"]["turns"], "no turn was bought twice"
        assert await redis.get(_KEY) == "1", "the tool ran once"
        assert await redis.delete(_KEY) == 1
