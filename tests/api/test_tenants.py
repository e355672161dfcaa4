"""Tenants beside each other: each has its own cap, its own turn, its own honest wait."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import keys
from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, announce, client, digest, job_of, problem, tracebacks
from tests.api.tenancy import api_of

FLOOD, ACME = {"Authorization": "Bearer flood-key"}, {"Authorization": "Bearer acme-key"}
TENANTS = f"""
[tenants.flood]
key_digests = ["{digest("flood-key")}"]
max_waiting = 5
max_running = 2
[tenants.acme]
key_digests = ["{digest("acme-key")}"]
weight = 2.5
"""


@pytest.fixture(scope="module")
def api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(TENANTS, tmp_path_factory.mktemp("tenants"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)
    assert not [line for line in process.log if line.get("event") == "setting_without_effect"]


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(api.url) as talking:
        yield talking


async def test_a_tenant_at_its_cap_is_told_so_and_others_are_not(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await worker.paced(slots=1, busy_seconds=10)
    for _ in range(5):
        job_of(await http.post("/v1/jobs", json=WORK, headers=FLOOD), 202)

    refused = await http.post("/v1/jobs", json=WORK, headers=FLOOD | {"Idempotency-Key": "again"})

    body = problem(refused, 429, "tenant_quota")
    assert body["retryable"]
    assert "5 jobs of yours" in body["detail"]
    assert 50 <= int(refused.headers["retry-after"]) <= 61
    job_of(await http.post("/v1/jobs", json=WORK, headers=ACME), 202)
    assert {job.spec.tenant for job in await worker.take(2)} == {"acme", "flood"}
    job_of(await http.post("/v1/jobs", json=WORK, headers=FLOOD | {"Idempotency-Key": "again"}), 202)


async def test_a_tenant_whose_jobs_are_all_due_later_is_not_told_to_come_again_before(
    http: httpx2.AsyncClient, worker: StandIn
) -> None:
    await worker.paced(slots=10, busy_seconds=1)
    for _ in range(5):
        job_of(await http.post("/v1/jobs", json=WORK | {"delay_seconds": 120}, headers=FLOOD), 202)

    refused = await http.post("/v1/jobs", json=WORK, headers=FLOOD)

    problem(refused, 429, "tenant_quota")
    assert int(refused.headers["retry-after"]) >= 115


async def test_turns_and_caps_are_those_of_the_settings(http: httpx2.AsyncClient, worker: StandIn) -> None:
    for _ in range(5):
        await http.post("/v1/jobs", json=WORK, headers=FLOOD)
    for _ in range(6):
        await http.post("/v1/jobs", json=WORK, headers=ACME)

    taken = [job.spec.tenant for job in await worker.take(11)]

    assert taken.count("flood") == 2, "its cap"
    assert taken.count("acme") == 6
    assert taken[:2] != ["flood", "flood"], "by turns, not in the order of arrival"


async def test_the_place_of_the_one_is_not_behind_the_backlog_of_the_other(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    for _ in range(5):
        await http.post("/v1/jobs", json=WORK, headers=FLOOD)

    job = job_of(await http.post("/v1/jobs", json=WORK, headers=ACME), 202)

    assert job["queue"]["position"] == 2
    assert job["queue"]["depth"] == 6
    assert await redis.hgetall(keys.TENANTS) == {
        "flood:weight": "1",
        "flood:max_running": "2",
        "acme:weight": "2.5",
    }
