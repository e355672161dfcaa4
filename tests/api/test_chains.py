"""`GET /v1/limits`: how the targets of a chain do, and whether its fallback could stand in."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.chain_scores import ChainScores, Note
from shared.gate import Gate
from shared.pool import Asker, Call, Limits, Pool, Spent, Used
from shared.redis_client import Redis
from tests.api.talk import client, tracebacks
from tests.forked import ForkedService

LIMITS = Limits(requests=50, input=30_000, output=8_000, in_flight=64)
SERVED = Note("ok", milliseconds=420, cost_nano=1_230_000, tool_calls=3, valid_tool_calls=3)
UNKNOWN = {
    "calls": 0,
    "success": None,
    "latency_ms": None,
    "cost_usd": None,
    "tool_calls": 0,
    "tool_calls_valid": None,
    "last_trouble": None,
}


@pytest.fixture(scope="module")
def api_of_chains(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    settings = {
        "REDIS_URL": redis_server.url,
        "SLUICE_API__PORT": "0",
        "SLUICE_TARGETS__SONNET__MODEL": "claude-sonnet-4-6",
        "SLUICE_TARGETS__HAIKU__MODEL": "claude-haiku-4-5",
        "SLUICE_TARGETS__OTHER__POOL": "claude-haiku-4-5",
        "SLUICE_CHAINS__DEFAULT__TARGETS": '["sonnet", "haiku"]',
        "SLUICE_CHAINS__DEFAULT__DRILL_PERCENT": "5",
        "SLUICE_CHAINS__ALONE__TARGETS": '["sonnet"]',
        "SLUICE_CHAINS__MOCK__TARGETS": '["haiku", "other"]',
    }
    with ForkedService("api", settings) as process:
        yield process
    assert not tracebacks(process.log)
    assert not [line for line in process.log if line.get("event") == "setting_without_effect"]


@pytest.fixture
async def http(api_of_chains: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(api_of_chains.url) as talking:
        yield talking


async def chain(http: httpx2.AsyncClient, name: str = "default") -> dict[str, Any]:
    answer = await http.get("/v1/limits")
    assert answer.status_code == 200
    (found,) = (one for one in answer.json()["chains"] if one["chain"] == name)
    return dict(found)


async def gauge(http: httpx2.AsyncClient, name: str = "default") -> list[str]:
    lines = (await http.get("/metrics")).text.splitlines()
    return [line.split()[1] for line in lines if line.startswith(f'sluice_chain_fallback_ready{{chain="{name}"}}')]


async def test_a_chain_that_was_never_asked_is_not_ready_and_says_why(http: httpx2.AsyncClient) -> None:
    assert await chain(http) == {
        "chain": "default",
        "targets": [{"target": "sonnet"} | UNKNOWN, {"target": "haiku"} | UNKNOWN],
        "drill_percent": 5,
        "fallback_ready": False,
        "reason": "haiku: no call in the last 24 h; drill_percent has it called on purpose",
    }
    assert await gauge(http) == ["0.0"]


async def test_a_fallback_that_served_is_ready(http: httpx2.AsyncClient, redis: Redis) -> None:
    for _ in range(5):
        await ChainScores(redis).note("default", "haiku", SERVED)
    await ChainScores(redis).note("default", "sonnet", Note("no_room"))

    found = await chain(http)

    assert found["targets"] == [
        {"target": "sonnet"} | UNKNOWN | {"calls": 1, "success": 0, "last_trouble": "no_room"},
        {
            "target": "haiku",
            "calls": 5,
            "success": 1,
            "latency_ms": 420,
            "cost_usd": "0.001230",
            "tool_calls": 15,
            "tool_calls_valid": 1,
            "last_trouble": None,
        },
    ]
    assert (found["fallback_ready"], found["reason"]) == (True, "haiku: 100 % of its last 5 calls succeeded")
    assert await gauge(http) == ["1.0"]


async def test_a_fallback_whose_provider_fails_now_is_not_ready(http: httpx2.AsyncClient, redis: Redis) -> None:
    for _ in range(5):
        await ChainScores(redis).note("default", "haiku", SERVED)
    gate, pool = Gate(redis, "worker"), Pool("claude-haiku-4-5", LIMITS)
    for _ in range(5):
        await gate.settle(await gate.reserve(pool, Call(Asker("assistant"), 300, 100)), Spent("down", Used()))

    assert (await chain(http))["reason"] == "haiku: its provider fails now"


async def test_a_fallback_in_the_same_pool_is_none(http: httpx2.AsyncClient, redis: Redis) -> None:
    for _ in range(5):
        await ChainScores(redis).note("mock", "other", SERVED)

    found = await chain(http, "mock")

    assert not found["fallback_ready"]
    assert found["reason"] == "other: it shares the pool claude-haiku-4-5 with haiku, and so its every want of room"


async def test_a_chain_of_one_has_no_fallback_and_nothing_to_alert_on(http: httpx2.AsyncClient) -> None:
    found = await chain(http, "alone")
    assert (found["fallback_ready"], found["reason"]) == (False, "there is no second target")
    assert await gauge(http, "alone") == []
