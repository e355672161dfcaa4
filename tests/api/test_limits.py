"""`GET /v1/limits` and the same in `/metrics`: the gate from outside."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from shared.gate import Gate
from shared.gate_news import begun
from shared.pool import HELD_UP_BY, Asker, Call, Headroom, Limits, Pool, Reservation, Spent, Used
from shared.redis_client import Redis

POOL = Pool("claude-sonnet-4-6", Limits(requests=50, input=30_000, output=8_000, in_flight=64))
CALL = Call(Asker("assistant"), characters=300, max_output_tokens=100)
OTHERS = Call(Asker("assistant", "somebody-else"), characters=300, max_output_tokens=100)


@pytest.fixture
def gate(redis: Redis) -> Gate:
    return Gate(redis, "worker")


@pytest.fixture
async def crowded(gate: Gate) -> AsyncIterator[Gate]:
    """One call is in flight; three wait since the provider said that it takes no more, two of them another tenant's."""
    passed = await gate.reserve(POOL, CALL)
    await gate.commands.tell(POOL, begun("", Headroom({"requests": 6}, {"requests": 0})))
    waiting = {"call_2": CALL, "call_3": OTHERS, "call_4": OTHERS}
    for call_id, call in waiting.items():
        await gate.commands.enter(call_id, POOL, call, "")
    yield gate
    for call_id, call in waiting.items():
        await gate.settle(Reservation(call_id, POOL, call, 0, 0, ""), Spent(used=Used()))
    await gate.settle(passed, Spent(used=Used()))


async def limits(http: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/v1/limits")
    assert answer.status_code == 200
    (pool,) = answer.json()["data"]
    return dict(pool)


async def samples(http: httpx2.AsyncClient) -> dict[str, float]:
    """The gate's, without prefix: `remaining{dimension="requests"}`."""
    text = (await http.get("/metrics")).text
    found = re.findall(r'^sluice_gate_(\w+)\{(.*?),?pool="claude-sonnet-4-6",?(.*?)\} (\S+)$', text, re.MULTILINE)
    return {
        f"{name}{{{before}{after}}}" if before or after else name: float(value) for name, before, after, value in found
    }


def untouched(limit: int, capacity: int) -> dict[str, object]:
    return {
        "limit_per_minute": limit,
        "configured_per_minute": limit,
        "learned": False,
        "capacity": capacity,
        "remaining": capacity,
        "reserved": 0,
        "used_last_minute": 0,
    }


async def test_a_pool_that_nobody_used_yet_is_as_configured(http: httpx2.AsyncClient) -> None:
    assert await limits(http) == {
        "pool": "claude-sonnet-4-6",
        "targets": ["default"],
        "requests": untouched(50, 1),
        "input_tokens": untouched(30_000, 500),
        "output_tokens": untouched(8_000, 133),
        "in_flight": 0,
        "max_in_flight": 64,
        "waiting": {"total": 0, "high": 0, "standard": 0, "low": 0, "tenants": 0, "by_tenant": {"default": 0}},
        "expected_wait_seconds": {"high": 0, "standard": 0, "low": 0},
        "held_up_by": None,
        "breaker": "closed",
        "retry_at": None,
        "retry_in_seconds": None,
        "pace": 1,
        "answer_tokens_per_second": None,
        "refused": 0,
        "refused_last_minute": 0,
        "failures": 0,
    }


async def test_why_calls_wait_can_be_told(http: httpx2.AsyncClient, crowded: Gate) -> None:
    seen = await limits(http)

    assert seen["requests"] == {
        "limit_per_minute": 6,
        "configured_per_minute": 50,
        "learned": True,
        "capacity": 1,
        "remaining": 0,
        "reserved": 1,
        "used_last_minute": 1,
    }
    assert (seen["input_tokens"]["reserved"], seen["input_tokens"]["used_last_minute"]) == (90, 90)
    assert 0 < seen["output_tokens"]["reserved"] <= 100
    assert seen["in_flight"] == 1
    assert seen["held_up_by"] == "requests"
    assert seen["expected_wait_seconds"] == {
        "high": pytest.approx(10, abs=1),
        "standard": pytest.approx(30, abs=1),
        "low": pytest.approx(30, abs=1),
    }


async def test_where_nobody_has_a_key_all_tenants_waiting_calls_are_shown(
    http: httpx2.AsyncClient, crowded: Gate
) -> None:
    answer = await http.get("/v1/limits")

    assert answer.json()["data"][0]["waiting"] == {
        "total": 3,
        "high": 0,
        "standard": 3,
        "low": 0,
        "tenants": 2,
        "by_tenant": {"default": 1, "somebody-else": 2},
    }
    assert "somebody-else" not in (await http.get("/metrics")).text


async def test_an_outage_says_when_it_may_be_over(http: httpx2.AsyncClient, gate: Gate) -> None:
    for _ in range(5):
        await gate.settle(await gate.reserve(POOL, CALL), Spent("down", Used()))

    seen = await limits(http)

    assert (seen["breaker"], seen["held_up_by"], seen["failures"]) == ("open", "breaker", 5)
    assert str(seen["retry_at"]).endswith("Z")
    assert 0 < seen["retry_in_seconds"] < 1.3


async def test_refusals_are_seen(http: httpx2.AsyncClient, gate: Gate) -> None:
    await gate.settle(await gate.reserve(POOL, CALL), Spent("busy", Used(), retry_after=60))

    seen = await limits(http)

    assert (seen["refused"], seen["refused_last_minute"], seen["pace"]) == (1, 1, 0.9)
    assert (seen["breaker"], seen["held_up_by"]) == ("closed", "retry_after")
    assert 50 < seen["retry_in_seconds"] <= 60


async def test_the_metrics_say_the_same(http: httpx2.AsyncClient, crowded: Gate) -> None:
    seen = await samples(http)

    assert {name: value for name, value in seen.items() if "requests" in name} == {
        'limit_per_minute{dimension="requests"}': 6,
        'limit_learned{dimension="requests"}': 1,
        'capacity{dimension="requests"}': 1,
        'remaining{dimension="requests"}': pytest.approx(0, abs=0.9),
        'reserved{dimension="requests"}': 1,
        'used_last_minute{dimension="requests"}': 1,
        'held_up{by="requests"}': 1,
    }
    assert seen['limit_per_minute{dimension="output_tokens"}'] == 8_000
    assert [seen[f'waiting_calls{{priority="{name}"}}'] for name in ("high", "standard", "low")] == [0, 3, 0]
    assert seen['expected_wait_seconds{priority="low"}'] == 30
    assert (seen["waiting_tenants"], seen["calls_in_flight"], seen["max_calls_in_flight"]) == (2, 1, 64)
    assert [seen[f'breaker{{state="{state}"}}'] for state in ("closed", "open", "half")] == [1, 0, 0]
    assert sum(seen[f'held_up{{by="{reason}"}}'] for reason in HELD_UP_BY) == 1
    assert (seen["refused_total"], seen["failures_total"], seen["retry_seconds"], seen["pace_ratio"]) == (0, 0, 0, 1)


async def test_the_metrics_know_an_outage(http: httpx2.AsyncClient, gate: Gate) -> None:
    for _ in range(5):
        await gate.settle(await gate.reserve(POOL, CALL), Spent("down", Used()))

    seen = await samples(http)

    assert (seen['breaker{state="open"}'], seen['held_up{by="breaker"}'], seen["failures_total"]) == (1, 1, 5)
    assert 0 < seen["retry_seconds"] < 1.3


async def test_the_document_shows_an_answer_and_every_reason(http: httpx2.AsyncClient) -> None:
    components = (await http.get("/openapi.json")).json()["components"]
    schemas = components["schemas"]
    reasons, _ = schemas["LimitResource"]["properties"]["held_up_by"]["anyOf"]
    assert reasons["enum"] == list(HELD_UP_BY)
    example = components["examples"]["limit_list"]["value"]
    assert example["data"][0].keys() == (await limits(http)).keys()
