"""Batches where five jobs may wait."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.api.talk import WORK, announce, client, keys_like, pointers, problem, tracebacks, waiting
from tests.api.test_batch import keyed, results, send, statuses
from tests.forked import ForkedService


@pytest.fixture(scope="module")
def api(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    settings = {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0", "SLUICE_QUEUE__MAX_DEPTH": "5"}
    with ForkedService("api", settings) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(api.url) as talking:
        yield talking


async def test_the_first_are_taken_when_the_queue_fills_up(http: httpx2.AsyncClient, redis: Redis) -> None:
    answer = await send(http, *[WORK] * 3, {"input": "x"}, *[WORK] * 4)
    found = results(answer)
    assert [one["status"] for one in found] == [202, 202, 202, 422, 202, 202, 429, 429]
    assert found[6]["error"]["code"] == "queue_full"
    assert found[6]["error"]["retryable"]
    assert pointers(found[6]["error"]) == {"#/jobs/6"}
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    assert answer.headers["ratelimit"].startswith('"queue";r=0;t=')
    assert await waiting(redis) == 5


async def test_together_they_need_room_for_all(http: httpx2.AsyncClient, redis: Redis) -> None:
    answer = await send(http, *[keyed(str(i)) for i in range(6)], all_or_nothing=True)
    assert pointers(problem(answer, 429, "queue_full")) == {"#/jobs/5"}
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    assert await waiting(redis) == 0
    assert await keys_like(redis, "sluice:idempotency:*") == []
    assert statuses(await send(http, *[keyed(str(i)) for i in range(5)], all_or_nothing=True)) == [202] * 5
    problem(await send(http, WORK, all_or_nothing=True), 429, "queue_full")


async def test_racing_batches_fill_the_queue_exactly(http: httpx2.AsyncClient, redis: Redis) -> None:
    answers = await asyncio.gather(*(send(http, *[WORK] * 3, all_or_nothing=i % 2 == 0) for i in range(10)))
    taken = sum(answer.json()["accepted"] for answer in answers if answer.status_code == 200)
    assert taken == await waiting(redis) <= 5
    assert {answer.status_code for answer in answers} <= {200, 429}
