"""Submit over HTTP, a worker runs it, read the result: real processes, real Valkey, real SDK."""

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.stack import stack


async def test_every_shipped_agent_succeeds(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url) as running:
        jobs = [running.submit(agent, "What is 17 * 23?") for agent in ("assistant", "researcher")]
        for job_id in jobs:
            job = running.finished(job_id)
            assert job["status"] == "succeeded", job
            assert job["output"]
            assert job["usage"]["turns"] >= 1
            assert float(job["usage"]["cost_usd"]) > 0
