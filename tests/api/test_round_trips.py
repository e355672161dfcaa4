"""A submit costs one round trip to Redis: counted by Redis, over HTTP, with everything on."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from local.redis_server import RedisServer
from shared import clock
from shared.redis_client import Redis, connect
from tests.api.talk import WORK, announce, client, digest, job_of
from tests.api.tenancy import api_of, bearer

MANY = 200
SETTINGS = f"""
[queue]
max_wait_seconds = 3600
[tenants.acme]
key_digests = ["{digest("acme")}"]
max_waiting = 100000
submits_per_minute = 60000
daily_cost_usd = "1000"
"""
URL = "https://hooks.example/in"


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """Of the module's own: nobody else asks it anything."""
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(store: RedisServer) -> AsyncIterator[Redis]:
    redis = connect(store.url)
    yield redis
    await redis.aclose(close_connection_pool=True)


@pytest.fixture(scope="module")
def url(store: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("round_trips"), store.url) as process:
        yield process.url


@pytest.fixture
async def http(url: str, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(url, headers=bearer("acme")) as talking:
        yield talking


async def readings(redis: Any) -> int:
    """How often Redis has read from anybody, this question included."""
    return int((await redis.info("stats"))["total_reads_processed"])


async def cost_of(http: httpx2.AsyncClient, redis: Redis, each: dict[str, Any], **headers: str) -> int:
    """Readings for each of many submits, one after the other. What an api does beside them counts as well: every ten
    seconds it reads the agents and what they cost, on a connection that may have to be made or tried first."""
    for number in (-1, *range(MANY)):
        if number == 0:  # scripts are loaded, connections are made
            before, began = await readings(redis), clock.monotonic()
        keyed = {name: text.format(number) for name, text in headers.items()}
        job_of(await http.post("/v1/jobs", json=WORK | each, headers=keyed), 202)
    seconds, spent = clock.monotonic() - began, await readings(redis) - before - 1
    assert spent % MANY <= 8 * (1 + seconds // 10)
    return spent // MANY


@pytest.mark.parametrize(
    ("each", "headers"),
    [
        ({}, {}),
        ({}, {"Idempotency-Key": "key-{}"}),
        ({"webhook": {"url": URL}, "session_id": "s", "priority": "high"}, {"Idempotency-Key": "webhook-{}"}),
    ],
    ids=["bare", "with a key", "with a webhook and a session"],
)
async def test_a_submit_is_one(
    http: httpx2.AsyncClient, redis: Redis, each: dict[str, Any], headers: dict[str, str]
) -> None:
    assert await cost_of(http, redis, each, **headers) == 1


async def test_one_that_names_an_endpoint_is_two_since_that_is_looked_up(
    http: httpx2.AsyncClient, redis: Redis
) -> None:
    made = await http.post("/v1/webhook_endpoints", json={"url": URL})
    assert await cost_of(http, redis, {"webhook": {"endpoint_id": made.json()["id"]}}) == 2


async def test_one_that_repeats_its_key_is_two_since_the_job_is_read(http: httpx2.AsyncClient, redis: Redis) -> None:
    assert await cost_of(http, redis, {}, **{"Idempotency-Key": "the-same"}) == 2
