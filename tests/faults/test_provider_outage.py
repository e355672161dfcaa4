"""The provider fails for a while, in two ways: work is parked, hardly anybody calls, and then all of it gets done."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.link import Link
from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock, keys
from shared.gate_inspector import GateInspector
from shared.pool import pool_of
from shared.redis_client import Redis
from shared.sections import Target
from tests.faults.load import Load
from tests.prompts import conversation
from tests.stack import Stack, stack
from tests.waiting import until

SLOTS = 8
TURNS = 2
OUTAGE_SECONDS = 12
LEAST_PAUSE_SECONDS = 0.75 * 0.1
"""Of the breaker, see `gate_breaker.lua`."""
PATIENCE = {"SLUICE_WORKER__PARK_AFTER_SECONDS": "1", "SLUICE_WORKER__MAX_IN_FLIGHT": str(SLOTS)}
"""Half a minute of patience would be longer than the whole outage."""


@pytest.fixture
def link(provider: ProviderProcess) -> Iterator[Link]:
    """The only way to the provider."""
    with Link(urlsplit(provider.url).port or 0) as way:
        yield way


@pytest.fixture
def running(redis: Redis, redis_server: RedisServer, link: Link) -> Iterator[Stack]:
    with stack(redis_server.url, f"http://127.0.0.1:{link.port}", workers=2, **PATIENCE) as made:
        yield made


@pytest.mark.slow
async def test_an_outage_fails_no_job_burns_no_try_and_is_over_when_the_provider_is_back(
    redis: Any, running: Stack, provider: ProviderProcess, link: Link
) -> None:
    pool = pool_of(Target())

    async def parked(count: int) -> bool:
        return bool(await redis.zcard(keys.PARKED + pool.name) >= count)

    load = Load(running, provider, turns=TURNS, latency=0.3)
    load.add(10)
    await until(lambda: load.in_flight() > 0)
    provider.set_fault("529")
    began = clock.monotonic()
    load.add(20)
    await until(lambda: parked(20))
    link.refuse()
    load.add(20)
    await until(lambda: parked(45))
    await until(lambda: clock.monotonic() - began > OUTAGE_SECONDS)
    before = [running.job(job_id) for job_id in load.prompts]
    completed = provider.stats()["completed"]
    seen = await GateInspector(redis).look(pool)

    provider.set_fault(None)
    link.accept()
    back = clock.monotonic()
    await until(lambda: provider.stats()["completed"] > completed)
    first = clock.monotonic()
    jobs = load.ended()
    all_done = clock.monotonic()

    assert first - back < seen["shut_ms"] / 1000 + 5, "somebody came when it could be tried"
    assert all_done - first < 25, "their own times are spread over a minute"
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert {job["attempt"] for job in jobs} == {1}
    assert seen["failures"] <= 2 * SLOTS + (back - began) / LEAST_PAUSE_SECONDS, "those under way, then one at a time"
    waiting = [job for job in before if job["wait_reason"] == "provider_outage"]
    assert len(waiting) > 20
    assert all(job["status"] == "queued" and job["next_attempt_at"] for job in waiting)
    calls = provider.calls()
    for prompt in load.prompts.values():
        assert sum(call["completed"] for call in conversation(calls, prompt)) == TURNS, "no turn is bought again"
