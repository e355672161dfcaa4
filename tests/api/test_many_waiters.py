"""A thousand who wait on one api process: what they cost it, and what others notice."""

import asyncio
import statistics
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import clock
from shared.redis_client import Redis
from tests.api.event_reader import reading
from tests.api.talk import QUICK_CLIENT, StandIn, announce, client, tracebacks
from tests.waiting import until

pytestmark = pytest.mark.slow

EACH = 500
MOST_MB = 300
AS_SUBMITTED = {"If-None-Match": 'W/"1"'}
"""A poll that comes only after the job has moved on, on a busy machine, is answered and does not wait for its end."""


@pytest.fixture
def own_api(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    with ServiceProcess("api", {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0"}) as process:
        yield process
    assert not tracebacks(process.log)


async def measured(http: httpx2.AsyncClient, name: str) -> float:
    """What the process says of itself."""
    text = (await http.get("/metrics")).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


async def megabytes(http: httpx2.AsyncClient) -> float:
    return await measured(http, "process_resident_memory_bytes") / 2**20


async def seconds_of_cpu(http: httpx2.AsyncClient) -> float:
    return await measured(http, "process_cpu_seconds_total")


async def latency_ms(http: httpx2.AsyncClient, path: str) -> float:
    """Of requests one after the other: the best of ten medians, since others use this machine, too."""
    medians = []
    for _ in range(10):
        times = []
        for _ in range(30):
            began = clock.monotonic()
            assert (await http.get(path)).status_code == 200
            times.append(clock.monotonic() - began)
        medians.append(statistics.median(times))
    return 1000 * min(medians)


async def test_a_thousand_waiters_are_cheap_and_in_nobodys_way(
    own_api: ServiceProcess, redis: Redis, worker: StandIn
) -> None:
    """Half of them long polls, half of them streams; all of them of other jobs, and then all of one."""
    await announce(redis)
    jobs = [await worker.add() for _ in range(EACH)]
    busy = await worker.add()
    limits = httpx2.Limits(max_connections=None)
    async with (
        client(own_api.url) as other,
        httpx2.AsyncClient(base_url=own_api.url, limits=limits, **QUICK_CLIENT) as http,
        AsyncExitStack() as open_streams,
    ):
        alone = await latency_ms(other, f"/v1/jobs/{busy}")
        before = await megabytes(other)
        polls = [asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=60", headers=AS_SUBMITTED)) for job_id in jobs]
        streams = [await open_streams.enter_async_context(reading(http, job_id)) for job_id in jobs]
        events = [aiter(stream) for stream in streams]
        for each in events:
            await anext(each)
        await until(lambda: redis_is_idle(redis))

        used, calls = await seconds_of_cpu(other), await evaluated(redis)
        await asyncio.sleep(1)  # what it costs to wait is a rate
        waiting_calls = await evaluated(redis) - calls
        waiting_cpu = await seconds_of_cpu(other) - used
        beside = await latency_ms(other, f"/v1/jobs/{busy}")
        now = await megabytes(other)
        print(
            f"{2 * EACH} waiters: {now:.0f} MB, {now - before:.0f} MB more; {waiting_cpu:.2f} s of CPU and "
            f"{waiting_calls} calls of Redis a second; a read {beside:.2f} ms, alone {alone:.2f} ms"
        )
        assert now < MOST_MB
        assert waiting_calls <= 5, "nobody polls Redis"
        assert waiting_cpu < 0.2
        assert beside < 2 * alone + 2
        assert not any(poll.done() for poll in polls)

        while await worker.take(100):
            pass
        for answer in await asyncio.gather(*polls):
            assert answer.json()["status"] == "running"
        for each in events:
            assert (await anext(each))["type"] == "job.running"


async def evaluated(redis: Redis) -> int:
    """How many scripts have been called."""
    stats = await redis.info("commandstats")  # type: ignore[attr-defined]
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


async def redis_is_idle(redis: Redis) -> bool:
    """Nothing was asked of it for a moment."""
    calls = await evaluated(redis)
    await asyncio.sleep(0.2)
    return await evaluated(redis) == calls


async def test_a_thousand_of_one_job_are_woken_together(own_api: ServiceProcess, redis: Redis, worker: StandIn) -> None:
    job_id = await worker.add()
    limits = httpx2.Limits(max_connections=None)
    async with (
        httpx2.AsyncClient(base_url=own_api.url, limits=limits, **QUICK_CLIENT) as http,
        AsyncExitStack() as open_streams,
    ):
        polls = [asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=60", headers=AS_SUBMITTED)) for _ in range(EACH)]
        streams = [await open_streams.enter_async_context(reading(http, job_id)) for _ in range(EACH)]
        events = [aiter(stream) for stream in streams]
        for each in events:
            await anext(each)
        await until(lambda: redis_is_idle(redis))
        assert not any(poll.done() for poll in polls)
        used, before, began = await seconds_of_cpu(http), await evaluated(redis), clock.monotonic()
        await worker.take()
        answers = await asyncio.gather(*polls)
        for each in events:
            assert (await anext(each))["type"] == "job.running"
        took, calls = clock.monotonic() - began, await evaluated(redis) - before
        cpu = await seconds_of_cpu(http) - used
        print(f"woken in {took:.2f} s, {cpu:.2f} s of CPU, {calls} calls of Redis")
        assert {answer.json()["status"] for answer in answers} == {"running"}
        assert took < 10
        assert calls < EACH + 50, "readers of the same read once"
