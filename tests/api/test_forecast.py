"""`estimated_cost_usd`: what a job is likely to cost, from what its agent's jobs have cost before."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from local.redis_server import RedisServer
from shared import keys
from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, announce, client, job_of
from tests.forked import ForkedService

MEDIAN = {"assistant": "10000000 12340000 99000000", "frugal": "2000000000"}


@pytest.fixture
async def fresh(redis: Any, redis_server: RedisServer) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an api that has not read anything yet: it remembers for ten seconds."""
    await announce(redis)
    with ForkedService("api", {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0"}) as process:
        async with client(process.url) as talking:
            yield talking


async def test_a_job_says_what_it_is_likely_to_cost_until_it_has_ended(
    redis: Any, fresh: httpx2.AsyncClient, worker: StandIn
) -> None:
    await redis.hset(keys.COSTS, mapping=MEDIAN)
    await redis.expire(keys.COSTS, 60)

    job = job_of(await fresh.post("/v1/jobs", json=WORK), 202)

    assert job["estimated_cost_usd"] == "0.012340"
    assert job_of(await fresh.get(f"/v1/jobs/{job['id']}"))["estimated_cost_usd"] == "0.012340"
    (listed,) = (await fresh.get("/v1/jobs")).json()["data"]
    assert listed["estimated_cost_usd"] == "0.012340"
    await worker.run()
    assert job_of(await fresh.get(f"/v1/jobs/{job['id']}"))["estimated_cost_usd"] is None


async def test_no_job_is_estimated_at_more_than_it_may_cost(redis: Any, fresh: httpx2.AsyncClient) -> None:
    await redis.hset(keys.COSTS, mapping=MEDIAN)
    await redis.expire(keys.COSTS, 60)
    assert (
        job_of(await fresh.post("/v1/jobs", json=WORK | {"agent": "frugal"}), 202)["estimated_cost_usd"] == "0.500000"
    )
    asked = {"jobs": [WORK | {"budget": {"max_cost_usd": "0.001"}}]}
    (answer,) = (await fresh.post("/v1/jobs:batch", json=asked)).json()["data"]
    assert answer["job"]["estimated_cost_usd"] == "0.001000"


async def test_while_nothing_is_known_nothing_is_said(redis: Redis, fresh: httpx2.AsyncClient) -> None:
    assert job_of(await fresh.post("/v1/jobs", json=WORK), 202)["estimated_cost_usd"] is None
