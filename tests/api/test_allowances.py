"""What a tenant may do in a time: submits a minute, money a day. A limit of one is nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import clock, keys
from shared.checkpoints import Checkpoints
from shared.overview import Overview
from shared.redis_client import Redis
from shared.turn import ModelRecord
from shared.usage import NANO, Usage
from tests.api.talk import WORK, StandIn, announce, client, digest, job_of, problem, tracebacks, waiting
from tests.api.tenancy import api_of, bearer

HASTY, FRUGAL, FREE = bearer("hasty-key"), bearer("frugal-key"), bearer("free-key")
SETTINGS = f"""
[tenants.hasty]
key_digests = ["{digest("hasty-key")}"]
submits_per_minute = 3
[tenants.frugal]
key_digests = ["{digest("frugal-key")}"]
daily_cost_usd = "0.50"
[tenants.free]
key_digests = ["{digest("free-key")}"]
"""


@pytest.fixture(scope="module")
def api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("allowances"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)
    assert not [line for line in process.log if line.get("event") == "setting_without_effect"]


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(api.url) as talking:
        yield talking


async def submit(http: httpx2.AsyncClient, who: dict[str, str], **headers: str) -> httpx2.Response:
    return await http.post("/v1/jobs", json=WORK, headers=who | {n.replace("_", "-"): v for n, v in headers.items()})


async def time_passes(redis: Redis, milliseconds: int) -> None:
    """For the limit on submits, as if so much time had passed."""
    full_at = float(await redis.get(f"{keys.SUBMITS}hasty"))
    await redis.set(f"{keys.SUBMITS}hasty", full_at - milliseconds, keepttl=True)


async def spend(redis: Redis, worker: StandIn, cost_nano: int) -> None:
    """The job next in turn makes a turn that costs so much."""
    (job,) = await worker.take()
    turn = ModelRecord(
        turn=1,
        target="default",
        model="m",
        request_id=None,
        milliseconds=1,
        content=[],
        stop_reason="end_turn",
        usage=Usage(turns=1, cost_nano=cost_nano),
    )
    for _ in range(2):  # a repeat after a lost answer costs nothing
        await Checkpoints(redis).append("stand-in", job.id, 0, turn)


async def test_a_minutes_worth_comes_at_once_and_then_one_after_the_other(
    http: httpx2.AsyncClient, redis: Redis
) -> None:
    for left in (2, 1, 0):
        answer = await submit(http, HASTY)
        job_of(answer, 202)
        assert answer.headers["ratelimit-policy"] == '"queue";q=10000, "submits";q=3;w=60'
        assert f'"submits";r={left};t={(3 - left) * 20}' in answer.headers["ratelimit"]

    refused = await submit(http, HASTY, Idempotency_Key="again")
    body = problem(refused, 429, "tenant_rate")
    assert body["retryable"]
    assert "3 jobs a minute" in body["detail"]
    assert 19 <= int(refused.headers["retry-after"]) <= 24
    assert '"submits";r=0;t=60' in refused.headers["ratelimit"]
    assert await waiting(redis) == 3

    await time_passes(redis, 20_000)
    first = job_of(await submit(http, HASTY, Idempotency_Key="again"), 202)["id"]
    assert job_of(await submit(http, HASTY, Idempotency_Key="again"), 202)["id"] == first, "a repeat makes no job"
    problem(await submit(http, HASTY), 429, "tenant_rate")
    assert await waiting(redis) == 4
    assert 0 < await redis.pttl(f"{keys.SUBMITS}hasty") <= 60_000


async def test_racing_submits_do_not_pass_it(http: httpx2.AsyncClient, redis: Redis) -> None:
    answers = await asyncio.gather(*(submit(http, HASTY) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [429] * 27
    assert await waiting(redis) == 3


async def test_others_are_not_held_up_by_it(http: httpx2.AsyncClient) -> None:
    for _ in range(4):
        last = await submit(http, HASTY)
    problem(last, 429, "tenant_rate")
    for _ in range(8):
        answer = await submit(http, FREE)
        job_of(answer, 202)
        assert "submits" not in answer.headers["ratelimit"] + answer.headers["ratelimit-policy"]


async def test_what_is_refused_for_its_form_counts_for_nothing(http: httpx2.AsyncClient) -> None:
    for _ in range(5):
        problem(await http.post("/v1/jobs", json=WORK | {"agent": "nobody"}, headers=HASTY), 422)
    job_of(await submit(http, HASTY), 202)


async def test_a_day_that_has_cost_enough_takes_no_more_jobs(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn
) -> None:
    job_of(await submit(http, FRUGAL), 202)
    await spend(redis, worker, NANO // 2 - 1)
    job_of(await submit(http, FRUGAL), 202)
    await spend(redis, worker, 1)

    refused = await submit(http, FRUGAL, Idempotency_Key="tomorrow")

    body = problem(refused, 429, "tenant_budget")
    assert "0.500000 dollars" in body["detail"]
    assert "T00:00:00.000Z on" in body["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert await Overview(redis).spent_today("frugal") == NANO // 2
    (day,) = [key async for key in redis.scan_iter(match=f"{keys.SPENT}*")]
    assert clock.DAY_MS < await redis.pttl(day) <= 2 * clock.DAY_MS
    await redis.rename(day, f"{keys.SPENT}{int(day.removeprefix(keys.SPENT)) - 1}")  # it was yesterday
    job_of(await submit(http, FRUGAL, Idempotency_Key="tomorrow"), 202)


async def test_what_one_tenant_costs_is_not_anothers(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
    job_of(await submit(http, FREE), 202)
    await spend(redis, worker, 900 * NANO)
    assert await Overview(redis).spent_today("frugal") == 0
    job_of(await submit(http, FRUGAL), 202)
    job_of(await submit(http, FREE), 202)
