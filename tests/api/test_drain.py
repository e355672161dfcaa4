"""A deploy of the api, by real signals: what who asks it meanwhile is told, and that it ends."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.api.event_reader import reading
from tests.api.talk import WORK, StandIn, announce, client, job_of, problem, reach, tracebacks
from tests.forked import ForkedService
from tests.waiting import until

LONG = "600"


@contextmanager
def api_of(redis_server: RedisServer, **settings: str) -> Iterator[ServiceProcess]:
    environment = {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0"} | settings
    with ForkedService("api", environment) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
def api(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    """One that drains for longer than any test."""
    with api_of(redis_server, SLUICE_API__DRAIN_SECONDS=LONG) as process:
        yield process
        process.signal(signal.SIGTERM)  # with the test's own, the second


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(api.url) as talking:
        yield talking


async def drain(api: ServiceProcess, http: httpx2.AsyncClient) -> httpx2.Response:
    """What `/readyz` says once the process has heard the signal."""
    api.signal(signal.SIGTERM)

    async def not_ready() -> bool:
        return (await http.get("/readyz")).status_code == 503

    await until(not_ready)
    return await http.get("/readyz")


async def test_it_says_so_and_takes_no_new_work(api: ServiceProcess, http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = job_of(await http.post("/v1/jobs", json=WORK), 202)
    await worker.run()

    ready = await drain(api, http)

    assert ready.json() == {"status": "not_ready", "checks": {"redis": "ok", "process": "draining"}}
    for path, body in (
        ("/v1/jobs", WORK),
        ("/v1/jobs:batch", {"jobs": [WORK]}),
        (f"{job['links']['self']}/retry", {}),
        (f"{job['links']['self']}/fork", {"from_turn": 1}),
    ):
        answer = await http.post(path, json=body)
        problem(answer, 503, "draining")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["connection"] == "close", "a repeat on this connection would find the same server"
    assert [one["id"] for one in (await http.get("/v1/jobs")).json()["data"]] == [job["id"]]


async def test_it_listens_and_reads_go_on(api: ServiceProcess, http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = job_of(await http.post("/v1/jobs", json=WORK), 202)
    await drain(api, http)

    async with client(api.url) as somebody_new:
        assert (await somebody_new.get("/healthz")).status_code == 200
        assert job_of(await somebody_new.get(job["links"]["self"]))["status"] == "queued"
        assert (await somebody_new.get(job["links"]["events"])).json()["last_id"] == 1
        new_stream = await somebody_new.get(job["links"]["events"], headers={"Accept": "text/event-stream"})
        problem(new_stream, 503, "draining")
        assert job_of(await somebody_new.post(job["links"]["cancel"]), 200)["status"] == "cancelled"


async def test_who_waits_already_is_told_of_the_next_change(
    api: ServiceProcess, http: httpx2.AsyncClient, worker: StandIn
) -> None:
    job = job_of(await http.post("/v1/jobs", json=WORK), 202)
    as_submitted = {"If-None-Match": 'W/"1"'}
    poll = asyncio.create_task(http.get(f"{job['links']['self']}?wait=50", headers=as_submitted))
    async with reading(http, job["id"]) as reader:
        events = aiter(reader)
        assert (await anext(events))["type"] == "job.queued"
        await reach(http)
        await drain(api, http)

        await worker.run()

        assert [event["type"] async for event in events] == ["job.running", "job.succeeded"]
    async with asyncio.timeout(20):
        assert job_of(await poll)["status"] in ("running", "succeeded")


async def test_a_second_signal_closes_it(api: ServiceProcess, http: httpx2.AsyncClient) -> None:
    await drain(api, http)
    assert api.is_running
    api.signal(signal.SIGTERM)
    assert await asyncio.to_thread(api.wait, 20) == 0


async def test_it_closes_when_the_time_is_up(redis_server: RedisServer, redis: Redis) -> None:
    with api_of(redis_server, SLUICE_API__DRAIN_SECONDS="0.2") as process:
        process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert {"draining", "stopped"} <= {line.get("event") for line in process.log}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_without_a_time_to_drain_who_waits_is_answered_and_it_closes_at_once(
    redis_server: RedisServer, redis: Redis, number: signal.Signals
) -> None:
    await announce(redis)
    with api_of(redis_server) as process:
        async with client(process.url) as http:
            job = job_of(await http.post("/v1/jobs", json=WORK), 202)
            polls = [
                asyncio.create_task(http.get(f"{job['links']['self']}?wait=50")),
                asyncio.create_task(http.post("/v1/jobs", json=WORK, headers={"Prefer": "wait=50"})),
            ]
            async with reading(http, job["id"]) as reader:
                events = aiter(reader)
                await anext(events)
                await reach(http)
                process.signal(number)
                assert [event async for event in events] == [], "it ends, and the reader comes again with its cursor"
            async with asyncio.timeout(20):
                read, submitted = [await poll for poll in polls]
        assert job_of(read)["status"] == "queued"
        assert job_of(submitted, 202)["status"] == "queued"
        assert submitted.headers["preference-applied"] == "wait=50"
        assert await asyncio.to_thread(process.wait, 20) == 0
