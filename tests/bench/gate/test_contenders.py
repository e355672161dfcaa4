"""Each contender lets calls through, knows what they used, and comes back after a refusal. Through a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tenacity import wait_none

from bench.gate import contenders
from bench.gate.budget import Budget
from bench.gate.contender import Contender, Limiter, Surroundings
from bench.gate.contenders import semaphore
from bench.gate.job import Job, Outcome
from bench.gate.order import WORK, Orders
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.bench.gate.provider import Scripted, answer
from tests.waiting import until
from worker.provider import ProviderBusy

PLENTY = Budget(requests=6_000, input_tokens=60_000_000, output_tokens=6_000_000, burst_seconds=60)
ORDERS = Orders("1", "one", WORK)


def busy() -> ProviderBusy:
    return ProviderBusy("slow down", type="rate_limit_error", retry_after=0.01)


@asynccontextmanager
async def limiter(contender: Contender, url: str, budget: Budget = PLENTY) -> AsyncIterator[Limiter]:
    made = contender.make(Surroundings(url, budget, 0))
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("contender", contenders.ALL, ids=lambda contender: contender.name)
async def test_a_call_is_answered(contender: Contender, redis_server: RedisServer, redis: Redis) -> None:
    async with limiter(contender, redis_server.url) as made:
        job = Job(ORDERS.next(), Scripted())
        assert await made.call(job) == Outcome.ANSWERED
        assert (job.attempts, job.calling) == (1, False)
        await redis.flushall()  # type: ignore[attr-defined]  # what a contender leaves behind is its own affair


@pytest.mark.parametrize("name", ["sluice", "fixed_window", "booked"])
async def test_a_refusal_is_waited_out(name: str, redis_server: RedisServer, redis: Redis) -> None:
    async with limiter(contenders.BY_NAME[name], redis_server.url) as made:
        job = Job(ORDERS.next(), Scripted(busy(), busy()))
        assert await made.call(job) == Outcome.ANSWERED
        assert job.attempts == 3
        await redis.flushall()  # type: ignore[attr-defined]


async def test_the_usual_post_gives_up_after_six_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphore, "wait_random_exponential", lambda **bounds: wait_none())
    made = semaphore.Semaphore()
    job = Job(ORDERS.next(), Scripted(*[busy()] * 9))
    assert await made.call(job) == Outcome.GIVEN_UP
    assert job.attempts == 6


async def test_booked_calls_wait_for_their_share(redis_server: RedisServer, redis: Redis) -> None:
    """Three are in the bucket, and a fourth would come after ten seconds."""
    budget = Budget(requests=6, input_tokens=60_000_000, output_tokens=60_000_000, burst_seconds=30)
    async with limiter(contenders.BY_NAME["booked"], redis_server.url, budget) as made:
        for _ in range(3):
            assert await made.call(Job(ORDERS.next(), Scripted())) == Outcome.ANSWERED
        late = Job(ORDERS.next(), Scripted())
        calling = asyncio.create_task(made.call(late))

        async def booked() -> bool:
            return float((await redis.hgetall("booked"))["requests"]) < 0

        await until(booked)
        assert late.attempts == 0
        calling.cancel()
        await asyncio.wait([calling])
        await redis.flushall()  # type: ignore[attr-defined]


async def test_booked_settles_what_was_not_used(redis_server: RedisServer, redis: Redis) -> None:
    """An hour's worth in the bucket, and hardly any refill in the time of a test."""
    budget = Budget(requests=60, input_tokens=6_000, output_tokens=6_000, burst_seconds=3_600)
    async with limiter(contenders.BY_NAME["booked"], redis_server.url, budget) as made:
        job = Job(ORDERS.next(), Scripted(busy(), answer(1_000)))
        await made.call(job)
        bucket = {name: float(value) for name, value in (await redis.hgetall("booked")).items()}
        assert bucket["requests"] == pytest.approx(3_600 - 1, abs=1)
        assert bucket["input"] == pytest.approx(360_000 - job.order.input_tokens, abs=100)
        assert bucket["output"] == pytest.approx(360_000 - 1_000, abs=100)
        await redis.flushall()  # type: ignore[attr-defined]


async def test_a_full_window_is_waited_out(
    redis_server: RedisServer, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of 0.2 s with room for two calls each: five calls need three."""
    monkeypatch.setattr("bench.gate.contenders.fixed_window.WINDOW_SECONDS", 0.2)
    budget = Budget(requests=600, input_tokens=60_000_000, output_tokens=60_000_000, burst_seconds=1)
    async with limiter(contenders.BY_NAME["fixed_window"], redis_server.url, budget) as made:
        jobs = [Job(ORDERS.next(), Scripted()) for _ in range(5)]
        calls = [asyncio.create_task(made.call(job)) for job in jobs]
        await until(lambda: all(call.done() for call in calls))
        starts = [job.started for job in jobs if job.started]
        assert max(starts) - min(starts) > 0.2
        await redis.flushall()  # type: ignore[attr-defined]
