"""Limits: a job stops before it spends more than it may, and keeps what it has."""

import pytest

from tests.prompts import scripted
from tests.stack import Stack


def test_a_loop_ends_at_max_turns(running: Stack) -> None:
    job = running.finished(running.submit("researcher", scripted(loop="clock"), budget={"max_turns": 3}))

    assert job["status"] == "incomplete"
    assert job["incomplete_details"]["reason"] == "max_turns"
    assert job["usage"]["turns"] == 3
    assert job["error"] is None


def test_money_ends_a_loop(running: Stack) -> None:
    prompt = scripted(loop="clock", output_tokens=150)
    job = running.finished(running.submit("researcher", prompt, budget={"max_cost_usd": "0.010"}))

    assert job["incomplete_details"]["reason"] == "budget_exceeded"
    assert 0 < float(job["usage"]["cost_usd"]) <= 0.01


def test_tokens_end_a_loop(running: Stack) -> None:
    job = running.finished(running.submit("researcher", scripted(loop="clock"), budget={"max_tokens": 1500}))

    assert job["incomplete_details"]["reason"] == "budget_exceeded"


def test_the_clock_ends_a_slow_job_and_keeps_what_it_said(running: Stack) -> None:
    prompt = scripted(
        turns=[{"text": "partly", "tools": [{"name": "clock", "input": {}}]}, {"text": "never", "latency": 60}]
    )
    job = running.finished(running.submit("researcher", prompt, budget={"max_seconds": 2}))

    assert job["status"] == "incomplete"
    assert job["incomplete_details"]["reason"] == "deadline_exceeded"
    assert job["output"] == "partly"


@pytest.mark.parametrize(
    ("directive", "reason"), [({"refuse": True}, "refusal"), ({"turns": [{"stop_reason": "max_tokens"}]}, "max_tokens")]
)
def test_an_answer_that_is_not_whole_is_incomplete(running: Stack, directive: dict[str, object], reason: str) -> None:
    job = running.finished(running.submit("assistant", scripted(**directive)))

    assert job["status"] == "incomplete", job
    assert job["incomplete_details"]["reason"] == reason


def test_an_answer_longer_than_the_agent_may_give_is_incomplete(running: Stack) -> None:
    job = running.finished(running.submit("assistant", scripted(output_tokens=6000, tokens_per_second=100000)))

    assert job["incomplete_details"]["reason"] == "max_tokens"
    assert job["usage"]["output_tokens"] == 4096
    assert job["output"]
