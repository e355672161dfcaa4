"""Budgets with real processes: loops stop by themselves, what breaks off is paid for, ten jobs keep to a day."""

import json
from datetime import UTC
from decimal import Decimal

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack


def busy(turns: int) -> str:
    """A prompt of an agent that asks for something else in each turn, and says much."""
    asked = [{"tools": [{"name": "weather", "input": {"city": f"City {number}"}}]} for number in range(turns)]
    return scripted(turns=asked, output_tokens=200)


CAP = Decimal("0.05")
JOBS = 10


def test_a_looping_agent_stops_by_itself_with_what_it_cost(running: Stack) -> None:
    job = running.finished(running.submit("circles", scripted(loop="weather")))

    assert job["status"] == "incomplete"
    details = job["incomplete_details"]
    assert details["reason"] == "loop_detected"
    assert details["message"].startswith("weather({")
    assert details["message"].endswith(
        f"5 times in a row, and nothing new came of it. The job has cost {job['usage']['cost_usd']} dollars in 5 turns."
    )
    assert (job["usage"]["turns"], job["usage"]["tool_calls"]) == (5, 5)
    assert Decimal(job["usage"]["cost_usd"]) > 0


def test_a_cycle_of_calls_is_a_loop_too(running: Stack) -> None:
    there_and_back = [{"tools": [{"name": "weather", "input": {"city": city}}]} for city in ("Rome", "Paris")] * 6
    job = running.finished(running.submit("circles", scripted(turns=there_and_back)))

    assert job["incomplete_details"]["reason"] == "loop_detected"
    assert job["usage"]["turns"] == 10


def test_who_asks_for_something_else_each_time_is_not_stopped(running: Stack) -> None:
    job = running.finished(running.submit("circles", busy(turns=12), budget={"max_turns": 11}))
    assert job["incomplete_details"]["reason"] == "max_turns"


@pytest.mark.parametrize("cost", ["0.003", "0.006", "0.010", "0.020"])
def test_no_job_costs_more_than_it_may(running: Stack, cost: str) -> None:
    job = running.finished(running.submit("circles", busy(turns=20), budget={"max_cost_usd": cost}))

    assert job["status"] == "incomplete"
    assert job["incomplete_details"]["reason"] == "budget_exceeded"
    assert Decimal(job["usage"]["cost_usd"]) <= Decimal(cost)
    assert f"of the {cost}" in job["incomplete_details"]["message"] or job["usage"]["turns"] > 0


def test_a_job_that_cannot_pay_for_one_call_makes_none(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(text="Hello.")
    job = running.finished(running.submit("circles", prompt, budget={"max_cost_usd": "0.000100"}))

    assert job["incomplete_details"]["reason"] == "budget_exceeded"
    assert "even with a short answer" in job["incomplete_details"]["message"]
    assert job["usage"]["model_calls"] == 0
    assert conversation(simulated.calls(), prompt) == []


def test_an_answer_that_broke_off_was_paid_for(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(turns=[{"text": "Well. " * 100, "fault": "drop_mid", "times": 2}])
    job = running.finished(running.submit("assistant", prompt))

    assert job["status"] == "succeeded"
    calls = conversation(simulated.calls(), prompt)
    assert len(calls) == job["usage"]["model_calls"] == 3
    assert job["usage"]["turns"] == 1
    assert job["usage"]["input_tokens"] == sum(call["usage"]["input_tokens"] for call in calls)
    said = sum(call["usage"]["output_tokens"] for call in calls)
    assert job["usage"]["output_tokens"] == pytest.approx(said, rel=0.1)
    (turn,) = running.client.turns(job["id"])
    assert turn["usage"] == job["usage"], "the turn's share of it is all"
    assert [one["usage"]["input_tokens"] for one in turn["broken_calls"]] == [
        call["usage"]["input_tokens"] for call in calls[:2]
    ]
    assert list(running.client.broken_calls(job["id"])) == []


def test_a_cancelled_answer_was_paid_for(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(output_tokens=2000, tokens_per_second=100)
    job_id = running.submit("assistant", prompt)
    running.until(job_id, "running")
    deadline = clock.monotonic() + 20
    while not any(call["usage"].get("output_tokens") for call in conversation(simulated.calls(), prompt)):
        assert clock.monotonic() < deadline
    running.http.post(f"/v1/jobs/{job_id}/cancel")
    job = running.finished(job_id)

    assert job["status"] == "cancelled"
    (call,) = conversation(simulated.calls(), prompt)
    assert job["usage"]["input_tokens"] == call["usage"]["input_tokens"] > 0
    assert job["usage"]["model_calls"] == 1
    assert Decimal(job["usage"]["cost_usd"]) > 0
    (broken,) = running.client.broken_calls(job_id)
    assert (broken["turn"], broken["why"], broken["usage"]) == (1, "cancelled", job["usage"])
    assert list(running.client.turns(job_id)) == []


def test_an_answer_that_a_deadline_cut_off_is_shown_with_what_it_cost(running: Stack) -> None:
    turns = [{"tools": [{"name": "weather", "input": {}}]}, {"output_tokens": 3000, "tokens_per_second": 100}]
    job = running.finished(running.submit("circles", scripted(turns=turns), budget={"max_seconds": 3}))

    assert job["incomplete_details"]["reason"] == "deadline_exceeded"
    (turn,), (broken,) = running.client.turns(job["id"]), running.client.broken_calls(job["id"])
    assert (broken["turn"], broken["why"]) == (2, "cancelled")
    for name in job["usage"].keys() - {"cost_usd"}:
        assert turn["usage"][name] + broken["usage"][name] == job["usage"][name], name
    assert 0 < Decimal(broken["usage"]["cost_usd"]) < Decimal(job["usage"]["cost_usd"])


def test_ten_jobs_at_once_keep_to_the_day_of_their_tenant() -> None:
    """Their calls together may never cost more than is left, however many are in flight; and it is used, not wasted."""
    settings = {
        "SLUICE_TENANTS__DEFAULT__DAILY_COST_USD": str(CAP),
        "SLUICE_WORKER__AGENTS": json.dumps(["tests.agents.circles"]),
    }
    with (
        RedisServer() as redis,
        ProviderProcess("--latency", "0.05", "--tokens-per-second", "2000") as provider,
        stack(redis.url, provider.url, workers=2, **settings) as running,
    ):
        day_ends = clock.from_rfc3339(running.http.get("/v1/queue").json()["day_ends_at"]) / 1000
        if day_ends - clock.wall_clock(UTC).timestamp() < 300:
            pytest.skip("the day is about to end")
        jobs = [running.submit("circles", busy(turns=20), budget={"max_seconds": 240}) for _ in range(JOBS)]
        ended = [running.finished(job_id, seconds=200) for job_id in jobs]
        queue = running.http.get("/v1/queue").json()

    assert {job["incomplete_details"]["reason"] for job in ended} == {"budget_exceeded"}
    spent = sum(Decimal(job["usage"]["cost_usd"]) for job in ended)
    assert CAP * Decimal("0.7") < spent <= CAP
    (tenant,) = queue["tenants"]
    assert Decimal(tenant["spent_today_usd"]) == pytest.approx(spent, abs=Decimal("0.00001"))
