"""A fleet that grows while it works at the provider's limits: eight workers cause as few 429s as one, which is none."""

import signal

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.prompts import scripted
from tests.stack import stack
from tests.waiting import until

LIMITS = {"requests": 900, "input-tokens": 150_000, "output-tokens": 60_000}
"""Fifteen jobs a second, whoever works."""
WORKERS = 8
JOBS_EACH = 33
"""About as many as are done while one more worker starts."""


def works(worker: ServiceProcess) -> bool:
    return any(line.get("event") == "job_finished" for line in worker.log)


@pytest.mark.slow
async def test_from_one_worker_to_eight_in_mid_run_without_one_429(redis: Redis, redis_server: RedisServer) -> None:
    flags = [text for name, limit in LIMITS.items() for text in (f"--{name}-per-minute", str(limit))]
    settings = {
        f"SLUICE_TARGETS__DEFAULT__{name.replace('-', '_').upper()}_PER_MINUTE": str(limit)
        for name, limit in LIMITS.items()
    }
    with (
        ProviderProcess("--latency", "0.3", "--tokens-per-second", "200", "--burst", "0.1", *flags) as provider,
        stack(redis_server.url, provider.url, workers=1, **settings) as running,
    ):
        jobs: list[str] = []

        def hand_in() -> None:
            jobs.extend(running.submit("assistant", scripted(output_tokens=40)) for _ in range(JOBS_EACH))

        hand_in()
        await until(lambda: provider.stats()["completed"] > 10)
        for _ in range(1, WORKERS):
            hand_in()
            running.add_worker()
        hand_in()
        await until(lambda: all(works(worker) for worker in running.workers))

        assert {running.finished(job_id, seconds=60)["status"] for job_id in jobs} == {"succeeded"}
        books = provider.books("claude-sonnet-4-6")
        assert sum(provider.stats()["refused"].values()) == 0, books
        assert provider.stats()["completed"] == len(jobs)
        for worker in running.workers:  # all at once, not one after the other
            worker.signal(signal.SIGTERM)
