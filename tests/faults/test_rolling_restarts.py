"""A day of deploys: worker after worker is replaced under load, and nobody who waits for a job can tell."""

import signal

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.faults.load import Load
from tests.stack import stack
from tests.waiting import until

_RESTARTS = 10


@pytest.mark.slow
async def test_ten_rolling_restarts_lose_fail_and_repeat_nothing(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=2) as running:
        load = Load(running, provider, turns=5, latency=0.4)
        oldest, other = running.workers
        for _ in range(_RESTARTS):
            load.add(6)
            await until(lambda: load.in_flight() > 0)
            oldest.signal(signal.SIGTERM)
            replacement = running.add_worker()
            assert oldest.wait(20) == 0
            oldest, other = other, replacement

        jobs = load.ended()
        assert {job["status"] for job in jobs} == {"succeeded"}
        assert {job["attempt"] for job in jobs} == {1}, "a deploy is no death"
        await load.assert_nothing_was_repeated(redis)
        assert oldest.is_running
        assert other.is_running
