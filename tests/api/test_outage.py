"""Redis away: 503 and when to come back, and afterwards all is well again without a restart."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import keys
from shared.redis_client import Redis, connect
from tests.api.talk import WORK, StandIn, announce, client, job_of, keys_like, problem, reach, tracebacks, waiting
from tests.forked import ForkedService
from tests.waiting import until

KEYED = {"Idempotency-Key": "order-17"}
NO_JOB = "/v1/jobs/job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def own_api(own_redis: RedisServer) -> Iterator[ServiceProcess]:
    with ForkedService("api", {"REDIS_URL": own_redis.url, "SLUICE_API__PORT": "0"}) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[Redis]:
    redis = connect(own_redis.url)
    yield redis
    await redis.aclose(close_connection_pool=True)


@pytest.fixture
async def http(own_api: ServiceProcess, store: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await store.flushall()
    await announce(store)
    async with client(own_api.url) as talking:

        async def ready() -> bool:
            return (await talking.get("/readyz")).status_code == 200

        await until(ready)
        yield talking


async def come_back(http: httpx2.AsyncClient, own_redis: RedisServer, store: Redis) -> None:
    own_redis.start()
    await store.connection_pool.disconnect()
    await announce(store)

    async def ready() -> bool:
        return (await http.get("/readyz")).status_code == 200

    await until(ready)


async def test_without_redis_everything_says_503_and_when_to_come_back(
    http: httpx2.AsyncClient, own_redis: RedisServer, store: Redis
) -> None:
    job_of(await http.post("/v1/jobs", json=WORK), 202)
    port = own_redis.port
    own_redis.kill()
    try:
        for method, path in (
            ("POST", "/v1/jobs"),
            ("GET", "/v1/jobs"),
            ("GET", NO_JOB),
            ("GET", f"{NO_JOB}?wait=30"),
            ("POST", f"{NO_JOB}/cancel"),
            ("GET", "/v1/agents"),
            ("GET", "/v1/limits"),
        ):
            answer = await http.request(method, path, json=WORK)
            problem(answer, 503, "store_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.elapsed.total_seconds() < 10
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
        assert answer.json()["checks"]["redis"].startswith("Redis is not available")
        assert (await http.get("/healthz")).status_code == 200
        metrics = await http.get("/metrics")
        assert metrics.status_code == 200
        assert "sluice_queue_waiting_jobs NaN" in metrics.text
        assert not re.search(r"^sluice_gate_", metrics.text, re.MULTILINE), "nothing that once was true"
        problem(await http.post("/v1/jobs", json={}), 422, "invalid_request")
    finally:
        await come_back(http, own_redis, store)
    assert own_redis.port == port
    job_of(await http.post("/v1/jobs", json=WORK), 202)
    assert (await http.get("/v1/agents")).json()["data"]


async def test_a_submit_repeated_after_a_503_makes_one_job(
    http: httpx2.AsyncClient, own_redis: RedisServer, store: Redis
) -> None:
    own_redis.kill()
    try:
        problem(await http.post("/v1/jobs", json=WORK, headers=KEYED), 503, "store_unavailable")
    finally:
        await come_back(http, own_redis, store)
    first, again = [await http.post("/v1/jobs", json=WORK, headers=KEYED) for _ in range(2)]
    assert job_of(first, 202)["id"] == job_of(again, 202)["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await waiting(store) == 1


async def test_a_submit_whose_answer_was_lost_makes_one_job(
    http: httpx2.AsyncClient, own_redis: RedisServer, store: Redis
) -> None:
    """Redis stands still, gets the script nevertheless, and runs it after the caller was told 503."""
    await http.post("/v1/jobs", json=WORK)
    own_redis.pause()
    try:
        lost = await http.post("/v1/jobs", json=WORK, headers=KEYED)
    finally:
        own_redis.resume()
    problem(lost, 503, "store_unavailable")

    async def it_was_run_after_all() -> bool:
        return bool(await keys_like(store, "sluice:idempotency:*"))

    await until(it_was_run_after_all)
    again = await http.post("/v1/jobs", json=WORK, headers=KEYED)
    job_of(again, 202)
    assert again.headers["idempotency-replayed"] == "true"
    assert await waiting(store) == len(await keys_like(store, f"{keys.ARQ_JOB}*")) == 2


async def test_many_who_ask_a_redis_that_hangs_do_not_wait_for_each_other(
    http: httpx2.AsyncClient, own_redis: RedisServer
) -> None:
    own_redis.pause()
    try:
        answers = await asyncio.gather(*(http.get(path) for path in ("/readyz", NO_JOB, "/v1/jobs") * 4))
    finally:
        own_redis.resume()
    assert {answer.status_code for answer in answers} == {503}
    assert max(answer.elapsed.total_seconds() for answer in answers) < 8


async def test_a_scrape_does_not_hang_with_redis(http: httpx2.AsyncClient, own_redis: RedisServer) -> None:
    assert "sluice_gate_remaining{" in (await http.get("/metrics")).text
    own_redis.pause()
    try:
        scraped = await http.get("/metrics")
    finally:
        own_redis.resume()
    assert scraped.status_code == 200
    assert scraped.elapsed.total_seconds() < 5, "Prometheus gives up after ten"
    assert "sluice_gate_remaining{" not in scraped.text
    assert "sluice_http_request_duration_seconds_count" in scraped.text


async def test_a_long_poll_hears_of_changes_after_redis_was_away(
    http: httpx2.AsyncClient, own_redis: RedisServer, store: Redis
) -> None:
    own_redis.kill()
    await come_back(http, own_redis, store)
    job_id = (await http.post("/v1/jobs", json=WORK)).json()["id"]
    headers = {"If-None-Match": 'W/"1"'}
    poll = asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=25", headers=headers))
    await reach(http)

    async def heard() -> bool:  # the listener may need a moment to subscribe again
        return (await store.pubsub_numsub(keys.CHANGES))[0][1] == 1

    await until(heard)
    await StandIn(store).run()
    answer = await poll
    assert job_of(answer)["status"] in ("running", "succeeded")
    assert answer.elapsed.total_seconds() < 20


async def test_a_change_that_the_listener_missed_is_noticed_all_the_same(
    http: httpx2.AsyncClient, store: Redis
) -> None:
    job_id = (await http.post("/v1/jobs", json=WORK)).json()["id"]
    headers = {"If-None-Match": 'W/"1"'}
    poll = asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=25", headers=headers))
    await reach(http)
    assert await store.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
    await StandIn(store).take()  # told to nobody: Redis keeps no messages
    answer = await poll
    assert job_of(answer)["status"] == "running"
    assert answer.elapsed.total_seconds() < 20


async def test_a_full_redis_is_unavailable_too(http: httpx2.AsyncClient, store: Redis) -> None:
    await store.config_set("maxmemory", "1")
    try:
        problem(await http.post("/v1/jobs", json=WORK), 503, "store_unavailable")
        assert (await http.get("/v1/jobs")).json()["data"] == []
    finally:
        await store.config_set("maxmemory", "0")
    job_of(await http.post("/v1/jobs", json=WORK), 202)
