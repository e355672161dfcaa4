"""`GET /v1/limits`: the gate from outside."""

import httpx2

from shared.gate import Gate
from shared.pool import Asker, Call, Headroom, Limits, Pool, Spent, Used
from shared.redis_client import Redis

POOL = Pool("claude-sonnet-4-6", Limits(requests=50, input=30_000, output=8_000, in_flight=64))
CALL = Call(Asker("assistant"), characters=300, max_output_tokens=100)


async def limits(http: httpx2.AsyncClient) -> dict[str, object]:
    answer = await http.get("/v1/limits")
    assert answer.status_code == 200
    (pool,) = answer.json()["data"]
    return dict(pool)


async def test_a_pool_that_nobody_used_yet_is_as_configured(http: httpx2.AsyncClient) -> None:
    assert await limits(http) == {
        "pool": "claude-sonnet-4-6",
        "targets": ["default"],
        "requests": {"limit_per_minute": 50, "remaining": 5, "learned": False},
        "input_tokens": {"limit_per_minute": 30_000, "remaining": 3_000, "learned": False},
        "output_tokens": {"limit_per_minute": 8_000, "remaining": 800, "learned": False},
        "in_flight": 0,
        "max_in_flight": 64,
        "waiting": {"high": 0, "standard": 0, "low": 0},
        "breaker": "closed",
        "retry_at": None,
        "pace": 1,
        "refused": 0,
        "failures": 0,
    }


async def test_what_the_answers_said_and_who_waits_is_seen(http: httpx2.AsyncClient, redis: Redis) -> None:
    gate = Gate(redis, "worker")
    passed = await gate.reserve(POOL, CALL)
    await gate._said(POOL, Headroom({"requests": 6}, {"requests": 0}))
    await gate._enter("call_2", POOL, CALL, "")

    seen = await limits(http)

    assert seen["requests"] == {"limit_per_minute": 6, "remaining": 0, "learned": True}
    assert seen["in_flight"] == 1
    assert seen["waiting"] == {"high": 0, "standard": 1, "low": 0}
    await gate.settle(passed, Spent(used=Used()))


async def test_an_outage_says_when_it_may_be_over(http: httpx2.AsyncClient, redis: Redis) -> None:
    gate = Gate(redis, "worker")
    for _ in range(5):
        await gate.settle(await gate.reserve(POOL, CALL), Spent("down", Used()))

    seen = await limits(http)

    assert (seen["breaker"], seen["failures"]) == ("open", 5)
    assert str(seen["retry_at"]).endswith("Z")
