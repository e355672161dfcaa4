"""The testing kit and a real worker agree: the same agent and the same script make the same job."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from examples.invoices import invoice_agent
from local.testing import Reply, Result, call, run_agent, say
from local.testing.replies import reply
from tests.agents.circles import circles
from tests.agents.effects import effects
from tests.agents.errands import errands
from tests.e2e.conftest import whole_stack
from tests.prompts import scripted
from tests.stack import Stack
from worker.agents import Agent, Budget

WORK = [
    [say("I look."), call("lookup_invoice", number="2026-001"), call("list_invoices", only_unpaid="perhaps")],
    [call("lookup_invoice", number="nowhere"), call("lookup_invoice", number=7), call("send_reminder")],
    call("send_reminder", number="2026-003"),
    say("Reminded."),
]
TWO_DELETIONS = [[call("delete_invoice", number=f"2026-00{number}") for number in (1, 3)], say("Then not.")]
CASES: dict[str, tuple[Agent, Sequence[Reply], dict[str, Any]]] = {
    "it succeeds": (invoice_agent, WORK, {}),
    "turns are used up": (invoice_agent, WORK, {"max_turns": 2}),
    "tokens are used up": (invoice_agent, WORK, {"max_tokens": 1400}),
    "it has no money": (invoice_agent, WORK, {"max_cost_usd": "0.0001"}),
    "tools fail, and are late": (effects, [[call("broken", depth=3), call("sleepy")], say("I see.")], {}),
    "it goes round in circles": (circles, [call("weather", city="Bergen")] * 9, {}),
    "it is cut": (invoice_agent, [say("Once upon", stop_reason="max_tokens")], {}),
    "it refuses": (invoice_agent, [say("No.", stop_reason="refusal")], {}),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """A stack of its own: elsewhere invoices are really deleted."""
    with whole_stack() as (made, _, _):
        yield made


def prompt_of(replies: Sequence[Reply]) -> str:
    """The same script for the simulated provider."""
    turns = [reply(replies, number, []) for number in range(1, len(replies) + 1)]
    return scripted(turns=[turn.model_dump(exclude_defaults=True) for turn in turns])


@pytest.mark.parametrize("case", CASES)
def test_a_job_of_the_kit_is_as_one_of_a_worker(running: Stack, case: str) -> None:
    agent, replies, limits = CASES[case]
    prompt = prompt_of(replies)

    job = running.finished(running.submit(agent.name, prompt, budget=limits))

    limited = replace(agent, budget=replace(agent.budget, **limits))
    assert_same(run_agent(limited, prompt, replies=replies), job, running)


def test_what_a_person_is_asked_and_what_comes_of_it_is_the_same(running: Stack) -> None:
    prompt = prompt_of(TWO_DELETIONS)
    said = {"decision": "deny", "comment": "Keep it."}

    job_id = running.submit("invoices", prompt)
    theirs = running.asked(job_id)
    for action in theirs:
        running.decide(action, **said)

    ours = run_agent(invoice_agent, prompt, replies=TWO_DELETIONS).actions
    for one, other in zip(ours, theirs, strict=True):
        for name in ("kind", "turn", "tool", "effect", "input", "input_schema", "note"):
            assert getattr(one, name) == other[name]
    kit = run_agent(invoice_agent, prompt, replies=TWO_DELETIONS, decisions={"delete_invoice": said})
    assert_same(kit, running.finished(job_id), running)


@pytest.mark.parametrize("turns", [1, 2])
def test_a_custom_agent_is_the_same_as_well(running: Stack, turns: int) -> None:
    one, two = scripted(turns=[{"text": "one"}]), scripted(turns=[{"text": "two"}])
    given = json.dumps({"todo": [{"ask": one}, {"step": "rest", "sync": True, "seconds": 0}, {"ask": two}]})

    job = running.finished(running.submit("errands", given, budget={"max_turns": turns}))

    limited = replace(errands, budget=Budget(max_turns=turns))
    assert_same(run_agent(limited, given, replies=[say("one"), say("two")]), job, running)


def assert_same(kit: Result, job: dict[str, Any], running: Stack) -> None:
    details = job["incomplete_details"] or {"reason": None, "message": ""}
    assert (kit.status, kit.output, kit.incomplete_reason) == (job["status"], job["output"], details["reason"])
    assert _without_cost(kit.incomplete_message) == _without_cost(details["message"] or "")
    assert _counted(kit.usage.as_json()) == _counted(job["usage"])

    page = running.http.get(f"/v1/jobs/{job['id']}/turns").json()
    calls = [call for turn in page["data"] for call in turn["tool_calls"]]
    assert [(one.name, one.input, one.result, one.is_error) for one in kit.tool_calls] == [
        (one["name"], one["input"], one["result"], one["outcome"] == "failed") for one in calls
    ]
    assert [(one.name, one.result) for one in kit.steps] == [(one["name"], one["result"]) for one in page["steps"]]


def _without_cost(message: str) -> str:
    return re.sub(r"has cost [\d.]+ dollars", "has its price", message)


def _counted(usage: dict[str, Any]) -> dict[str, int]:
    """How much of the input was cheap depends on who has asked the provider before; how much there was does not."""
    counted = {"input": sum(usage[f"{kind}input_tokens"] for kind in ("", "cache_creation_", "cache_read_"))}
    return counted | {name: usage[name] for name in ("output_tokens", "model_calls", "turns", "tool_calls")}
