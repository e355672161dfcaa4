"""The gate in the whole: workers that could do far more than the provider allows cause not one 429."""

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.prompts import scripted
from tests.stack import stack


async def test_two_workers_at_the_providers_limit_cause_no_429(redis: Redis, redis_server: RedisServer) -> None:
    limits = {"requests": 900, "input-tokens": 90_000, "output-tokens": 60_000}
    flags = [text for name, limit in limits.items() for text in (f"--{name}-per-minute", str(limit))]
    settings = {
        f"SLUICE_TARGETS__DEFAULT__{name.replace('-', '_').upper()}_PER_MINUTE": str(limit)
        for name, limit in limits.items()
    }
    with (
        ProviderProcess("--latency", "0.02", "--tokens-per-second", "2000", *flags) as provider,
        stack(redis_server.url, provider.url, workers=2, **settings) as running,
    ):
        jobs = [running.submit("assistant", scripted(output_tokens=40)) for _ in range(150)]

        ends = [running.finished(job_id, seconds=60)["status"] for job_id in jobs]

        assert set(ends) == {"succeeded"}
        stats = provider.stats()
        assert sum(stats["refused"].values()) == 0, stats
        assert stats["completed"] == 150
