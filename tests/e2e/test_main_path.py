"""Submit over HTTP, a worker runs it, read the result: real processes, real Valkey, real SDK."""

import pytest

from local.provider_process import ProviderProcess
from shared.clock import from_rfc3339
from tests.prompts import conversation, scripted
from tests.stack import Stack


@pytest.mark.parametrize("agent", ["assistant", "researcher", "invoices"])
def test_every_shipped_agent_succeeds(running: Stack, agent: str) -> None:
    job = running.finished(running.submit(agent, f"For {agent}: what is 17 * 23?"))

    assert job["status"] == "succeeded", job
    assert job["output"]
    assert job["usage"]["turns"] >= 1
    assert float(job["usage"]["cost_usd"]) > 0
    assert job["model"]["served"] == "claude-sonnet-4-6"
    assert job["started_at"] >= job["created_at"]
    assert job["finished_at"] >= job["started_at"]


def test_usage_is_what_the_provider_counted(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(turns=4, tool="calculator")

    job = running.finished(running.submit("researcher", prompt))

    calls = conversation(simulated.calls(), prompt)
    assert job["usage"]["model_calls"] == len(calls) == 4
    assert job["usage"]["tool_calls"] == 3
    for name in ("input_tokens", "output_tokens"):
        assert job["usage"][name] == sum(call["usage"][name] for call in calls)


def test_a_conversation_is_a_valid_input(running: Stack) -> None:
    conversation = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
    ]
    job = running.finished(running.submit("assistant", conversation))

    assert job["status"] == "succeeded", job
    assert job["input"] == conversation


def test_notes_are_kept_in_the_session(running: Stack) -> None:
    writing = scripted(
        turns=[{"tools": [{"name": "write_note", "input": {"title": "answer", "text": "forty-two"}}]}, {"text": "kept"}]
    )
    running.finished(running.submit("researcher", writing, session_id="notes-1"))
    reading = scripted(turns=[{"tools": [{"name": "read_notes", "input": {}}]}, {"text": "read"}])

    same = running.finished(running.submit("researcher", reading, session_id="notes-1"))
    other = running.finished(running.submit("researcher", reading, session_id="notes-2"))

    assert running.results(same["id"])[0]["content"] == '{"answer":"forty-two"}'
    assert running.results(other["id"])[0]["content"] == "{}"


def test_a_waiting_job_is_started_at_once(running: Stack) -> None:
    job = running.finished(running.submit("assistant", "quick"))

    waited = from_rfc3339(job["started_at"]) - from_rfc3339(job["created_at"])
    assert waited < 900, "woken, not found by the sweep once a second"
