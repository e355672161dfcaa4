"""The curl of README and docs, command by command in the order of each page: what is answered is what the page says."""

import json
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.prompts import scripted
from tests.stack import Stack
from tests.typed import Terminal, blocks, commands

CURLS = ["curl", "stand-in"] if shutil.which("curl") else ["stand-in"]


@pytest.fixture(params=CURLS)
def terminal(request: pytest.FixtureRequest, running: Stack, tmp_path: Path) -> Terminal:
    running.finished(running.submit("assistant", "The workers are there."))
    return Terminal(running.api.url, tmp_path, stand_in=request.param == "stand-in")


def asking(running: Stack) -> dict[str, Any]:
    """An action of a job that wants to delete an invoice and then to see whether it is there."""
    turns = [{"tools": [{"name": "delete_invoice", "input": {"number": "2026-003"}}]}, {"text": "Well."}]
    (action,) = running.asked(running.submit("invoices", scripted(turns=turns)))
    return action


def deletion(running: Stack, action: dict[str, Any]) -> str:
    """What the model was told of it, once the job has ended."""
    assert running.finished(action["job_id"])["status"] == "succeeded"
    (result,) = running.results(action["job_id"])
    return str(result["content"])


def test_the_readme(running: Stack, terminal: Terminal) -> None:
    """Its last two ask an agent of one's own: tests/local/test_bring_your_own_agent.py goes that way."""
    submit, look, follow, turns, listing, erase, wait, long, cancel, batch, _, _ = commands("../README.md")

    made = terminal.type(submit.replace("first-try", f"first-try-{secrets.token_hex(4)}"))
    assert (made.status, made.body["agent"]) == (202, "researcher")
    assert re.search(f"^location: /v1/jobs/{made.body['id']}$", made.text, re.MULTILINE | re.IGNORECASE)
    job_id = made.body["id"]
    assert terminal.type(look, JOB_ID=job_id).body["revision"] > made.body["revision"], "at its next change"
    assert "event: job.succeeded" in terminal.type(follow, JOB_ID=job_id).text
    transcript = terminal.type(turns, JOB_ID=job_id).body["data"]
    assert transcript[0]["tool_calls"]
    assert all(float(turn["usage"]["cost_usd"]) > 0 for turn in transcript)
    assert job_id in [job["id"] for job in terminal.type(listing).body["data"]]
    assert [terminal.type(erase, JOB_ID=job_id).status for _ in range(2)] == [204, 404]

    ended = terminal.type(wait)
    assert (ended.status, ended.body["status"]) == (200, "succeeded")
    job_id = terminal.type(long).body["id"]
    assert terminal.type(cancel, JOB_ID=job_id).status in (200, 202)
    assert running.until(job_id, "cancelled")["output"] is None

    many = terminal.type(batch)
    assert [one["job"]["input"] for one in many.body["data"]] == ["One", "Two"]


def test_approvals(running: Stack, terminal: Terminal) -> None:
    inbox, look, approve, deny, edit, *example = commands("approvals.md")

    action = asking(running)
    found = terminal.type(inbox)
    assert (found.status, found.body["data"][0]["id"]) == (200, action["id"]), "newest first"
    waiting = terminal.type(look, JOB_ID=action["job_id"]).body
    assert (waiting["status"], waiting["required_actions"]) == ("requires_action", [action])
    shown = re.sub(r"\{…\}", "{}", blocks("approvals.md", "json")[0]).replace(", …}", "}")
    told = json.loads(shown)
    assert told.keys() - action.keys() == set()
    assert {name: told[name] for name in ("object", "agent", "kind", "status", "tool", "effect", "input", "note")} == {
        name: action[name] for name in ("object", "agent", "kind", "status", "tool", "effect", "input", "note")
    }
    assert told["decisions"] == action["decisions"]

    decided = terminal.type(approve, JOB_ID=action["job_id"], ACTION_ID=action["id"])
    assert (decided.status, decided.body["decision"]) == (200, "approve")
    assert deletion(running, action) == "Invoice 2026-003 is deleted."
    again = terminal.type(approve, JOB_ID=action["job_id"], ACTION_ID=action["id"])
    assert (again.status, again.body["code"]) == (409, "already_decided")

    action = asking(running)
    assert terminal.type(deny, JOB_ID=action["job_id"], ACTION_ID=action["id"]).body["decision"] == "deny"
    assert deletion(running, action).endswith(
        "A person denied this call; it was not run. Comment: It is paid; ask Ada first."
    )

    action = asking(running)
    assert terminal.type(edit, JOB_ID=action["job_id"], ACTION_ID=action["id"]).body["decision"] == "edit"
    said = deletion(running, action)
    assert said.endswith("Invoice 2026-002 is deleted.")
    assert "It is this one." in said

    see_the_eighth_turn_held(terminal, *example)


def see_the_eighth_turn_held(terminal: Terminal, submit: str, inbox: str, decide: str, wait: str, turns: str) -> None:
    """The deletion in the eighth turn of examples/tidy_up.json is held until somebody allows it."""
    held = terminal.type(submit)
    assert (held.status // 100, held.body["status"]) == (2, "requires_action")
    job_id = held.body["id"]
    asked = terminal.type(inbox).body["data"][0]
    assert (asked["job_id"], asked["turn"], asked["tool"]) == (job_id, 8, "delete_invoice")
    assert '"turn": 8, "tool": "delete_invoice"' in inbox
    transcript = terminal.type(turns, JOB_ID=job_id).body["data"]
    assert [call["outcome"] for call in transcript[-1]["tool_calls"]] == ["pending"]

    decided = terminal.type(decide, JOB_ID=job_id, ACTION_ID=asked["id"])
    assert (decided.status, decided.body["status"]) == (200, "decided")
    job = terminal.type(wait, JOB_ID=job_id).body
    while job["status"] != "succeeded":
        assert job["status"] in ("queued", "running")
        job = terminal.type(wait, JOB_ID=job_id).body

    transcript = terminal.type(turns, JOB_ID=job_id).body["data"]
    (call,) = transcript[7]["tool_calls"]
    assert (call["result"], [one["decision"] for one in call["decisions"]]) == (
        "Invoice 2026-003 is deleted.",
        ["approve"],
    )
    assert job["usage"]["turns"] == job["usage"]["model_calls"] == len(transcript) == 9, "none is bought again"


def test_budgets(terminal: Terminal) -> None:
    (loop,) = commands("budgets.md")
    stopped = terminal.type(loop)
    job = stopped.body
    assert (stopped.status, job["status"]) == (200, "incomplete")
    assert job["incomplete_details"]["reason"] == "loop_detected"
    cost = job["usage"]["cost_usd"]
    assert job["incomplete_details"]["message"].endswith(f"The job has cost {cost} dollars in 5 turns.")
    assert (job["usage"]["turns"], job["usage"]["tool_calls"], float(cost) > 0) == (5, 5, True)


def test_sessions(running: Stack, terminal: Terminal) -> None:
    first, second, session, jobs, forget = commands("sessions.md")
    running.http.delete("/v1/sessions/chat-17")  # of other pages

    answers = [terminal.type(command) for command in (first, second)]
    assert [(one.status, one.body["status"]) for one in answers] == [(200, "succeeded")] * 2
    ids = [one.body["id"] for one in answers]
    remembered = terminal.type(session)
    assert (remembered.status, remembered.body["id"]) == (200, "chat-17")
    assert "My name is Ada." in json.dumps(remembered.body)
    assert [job["id"] for job in terminal.type(jobs).body["data"][:2]] == ids[::-1]
    assert terminal.type(forget).status == 204
    assert terminal.type(session).status == 404


def test_steering(running: Stack, terminal: Terminal) -> None:
    say, retry, with_more, fork = commands("steering.md")

    turns = [{"tools": [{"name": "clock", "input": {}}]} for _ in range(2)]
    job_id = running.submit("researcher", scripted(turns=[turns[0], turns[1], {"text": "So.", "latency": 60}]))
    running.until(job_id, "running")
    said = terminal.type(say, JOB_ID=job_id)
    assert (said.status, said.body["content"]) == (202, "Leave the invoices of 2025 alone.")
    running.http.post(f"/v1/jobs/{job_id}/cancel")
    running.until(job_id, "cancelled")
    late = terminal.type(say, JOB_ID=job_id)
    assert (late.status, late.body["code"]) == (409, "already_finished")

    for command in (retry, with_more):
        again = terminal.type(command, JOB_ID=job_id)
        assert (again.status, again.body["forked_from"]["job_id"]) == (202, job_id)
        running.http.post(f"/v1/jobs/{again.body['id']}/cancel")
    assert float(again.body["budget"]["max_cost_usd"]) == 2

    old = running.submit("researcher", scripted(turns=[*turns, {"text": "So."}]))
    assert running.finished(old)["status"] == "succeeded"
    other = terminal.type(fork, JOB_ID=old)
    assert (other.status, other.body["forked_from"]) == (202, {"job_id": old, "turn": 2})
    assert running.finished(other.body["id"])["usage"]["turns"] == 1
    (heard,) = running.client.messages(other.body["id"])
    assert heard["content"] == "Use the figures of 2025."
    refused = terminal.type(retry, JOB_ID=old)
    assert (refused.status, refused.body["code"]) == (409, "already_succeeded")


def test_events(running: Stack, terminal: Terminal) -> None:
    follow, listing = commands("events.md")
    job_id = running.submit("assistant", scripted(output_tokens=50))

    stream = terminal.type(follow, JOB_ID=job_id)
    assert stream.status == 200
    told = [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert told[-1]["type"] == "job.succeeded", "until the job has ended"
    page = terminal.type(listing, JOB_ID=job_id).body
    assert (page["object"], page["data"], page["has_more"]) == ("list", told, False)
    documented = json.loads(blocks("events.md", "json")[0].replace("job_…", job_id))
    assert documented.keys() == told[0].keys()


def test_webhooks(running: Stack, terminal: Terminal) -> None:
    submit, endpoint, deliveries, replay = commands("webhooks.md")

    made = terminal.type(submit)
    assert made.status == 202
    assert running.finished(made.body["id"])["status"] == "succeeded"
    kept = terminal.type(endpoint)
    assert (kept.status, kept.body["id"][:4], kept.body["secret"][:6]) == (201, "whe_", "whsec_")
    listed = terminal.type(deliveries.replace("job_…", made.body["id"]))
    (delivery,) = listed.body["data"]
    assert (listed.status, delivery["job_id"], delivery["type"]) == (200, made.body["id"], "job.succeeded")
    again = terminal.type(replay.replace("msg_…", delivery["id"]))
    assert (again.status, again.body["status"]) == (202, "pending")
    running.http.delete(f"/v1/webhook_endpoints/{kept.body['id']}")
