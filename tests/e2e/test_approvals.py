"""Approvals in real jobs: the eighth turn wants to delete an invoice, and a person says what becomes of it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import keys
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack

_ROOT = Path(__file__).parent.parent.parent
INVOICES = {"SLUICE_WORKER__AGENTS": json.dumps(["examples.invoices"])}


def call(name: str, **given: Any) -> dict[str, Any]:
    return {"tools": [{"name": name, "input": given}]}


def tidying_up(number: str) -> str:
    """Eight turns, the last of which deletes the invoice; then a look whether it is gone, and an answer."""
    return scripted(
        turns=[
            call("list_invoices"),
            call("lookup_invoice", number="2026-001"),
            call("lookup_invoice", number="2026-002"),
            call("lookup_invoice", number="2026-003"),
            call("send_reminder", number="2026-002"),
            call("list_invoices", only_unpaid=True),
            call("lookup_invoice", number=number),
            call("delete_invoice", number=number),
            call("lookup_invoice", number=number),
            {"text": "That is all."},
        ]
    )


def results(job: dict[str, Any], running: Stack) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the deletion, and of the look after it."""
    *_, deletion, look = running.results(job["id"])
    return deletion, look


def bought(provider: ProviderProcess, prompt: str) -> int:
    """Turns, each bought once."""
    calls = conversation(provider.calls(), prompt)
    assert all(one["completed"] for one in calls)
    return len(calls)


def test_the_deletion_waits_for_a_person_and_then_happens(running: Stack, simulated: ProviderProcess) -> None:
    prompt = tidying_up("2026-003")
    job_id = running.submit("invoices", prompt)

    (action,) = running.asked(job_id)

    assert (action["kind"], action["turn"], action["tool"]) == ("approval", 8, "delete_invoice")
    assert action["input"] == {"number": "2026-003"}
    assert bought(simulated, prompt) == 8
    running.decide(action, "approve", comment="It was a mistake.")
    job = running.finished(job_id)
    assert (job["status"], job["output"], job["usage"]["turns"]) == ("succeeded", "That is all.", 10)
    deletion, _ = results(job, running)
    assert deletion["content"] == ("[A person allowed it. Comment: It was a mistake.]\nInvoice 2026-003 is deleted.")
    assert bought(simulated, prompt) == 10


def test_the_example_of_the_docs_waits_in_its_eighth_turn(running: Stack) -> None:
    job = json.loads((_ROOT / "examples" / "tidy_up.json").read_text("utf-8"))
    job_id = running.submit(job["agent"], job["input"])

    (action,) = running.asked(job_id)

    assert (action["turn"], action["tool"], action["input"]) == (8, "delete_invoice", {"number": "2026-003"})
    running.decide(action, "deny")
    assert running.finished(job_id)["output"] == "Done."


def test_denied_nothing_is_deleted_and_the_model_is_told(running: Stack) -> None:
    job_id = running.submit("invoices", tidying_up("2026-001"))
    running.decide(running.asked(job_id)[0], "deny", comment="It is paid.")

    deletion, look = results(running.finished(job_id), running)

    assert (deletion["is_error"], deletion["content"]) == (
        True,
        "A person denied this call; it was not run. Comment: It is paid.",
    )
    assert '"number":"2026-001"' in look["content"]


def test_edited_another_one_is_deleted(running: Stack) -> None:
    job_id = running.submit("effects", scripted(turns=[call("erase", key="effects:one"), {"text": "ok"}]))
    (action,) = running.asked(job_id)
    refused = running.http.post(action["links"]["decide"], json={"decision": "edit", "input": {"kee": "x"}})
    assert refused.status_code == 422, refused.text
    assert {error["pointer"] for error in refused.json()["errors"]} == {"#/input", "#/input/kee"}

    running.decide(action, "edit", input={"key": "effects:other"})

    assert running.finished(job_id)["status"] == "succeeded"
    (result,) = running.results(job_id)
    assert "A person changed the input" in result["content"]
    assert "erased effects:other" in result["content"]


def test_two_calls_of_a_turn_are_decided_together(running: Stack) -> None:
    erasures = [{"name": "erase", "input": {"key": f"effects:{one}"}} for one in ("a", "b")]
    job_id = running.submit("effects", scripted(turns=[{"tools": erasures}, {"text": "ok"}]))
    first, second = running.asked(job_id)
    running.decide(second, "deny")
    assert running.job(job_id)["status"] == "requires_action"
    running.decide(first, "approve")

    assert running.finished(job_id)["output"] == "ok"
    assert [result["is_error"] for result in running.results(job_id)] == [False, True]
    twice = running.http.post(second["links"]["decide"], json={"decision": "approve"})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_decided")


def test_an_irreversible_call_that_is_late_is_asked_about(
    running: Stack, shared_stack: tuple[Stack, ProviderProcess, RedisServer]
) -> None:
    prompt = scripted(turns=[call("vanish", key="effects:vanished"), {"text": "ok"}])
    job_id = running.submit("effects", prompt)

    (action,) = running.asked(job_id)

    assert (action["kind"], action["decisions"]) == ("outcome", ["done", "not_done"])
    assert action["note"] == "The tool did not answer within 0.3 seconds."
    running.decide(action, "done")
    assert running.finished(job_id)["status"] == "succeeded"
    with redis_sync.Redis.from_url(shared_stack[2].url, decode_responses=True) as redis:
        assert redis.get("effects:vanished") == "1"


def test_nobody_decides_and_the_job_goes_on(provider: ProviderProcess) -> None:
    with (
        RedisServer() as server,
        stack(server.url, provider.url, SLUICE_ACTIONS__EXPIRE_SECONDS="5", **INVOICES) as running,
    ):
        job_id = running.submit("invoices", tidying_up("2026-003"))
        (action,) = running.asked(job_id)

        job = running.finished(job_id)

        assert job["status"] == "succeeded"
        deletion, look = results(job, running)
        assert "nobody decided in time (it expired; it was not denied)" in deletion["content"]
        assert '"number":"2026-003"' in look["content"]
        late = running.http.post(action["links"]["decide"], json={"decision": "approve"})
        assert (late.status_code, late.json()["code"]) == (409, "already_decided")


def test_waiting_costs_none_of_its_time_but_its_deadline_stands(provider: ProviderProcess) -> None:
    with RedisServer() as server, stack(server.url, provider.url, **INVOICES) as running:
        patient = running.submit("invoices", tidying_up("2026-003"), budget={"max_seconds": 300})
        hurried = running.submit(
            "invoices",
            tidying_up("2026-001"),
            deadline_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4)),
        )
        (action,) = running.asked(patient)
        with redis_sync.Redis.from_url(server.url) as redis:  # five minutes pass
            redis.hincrby(keys.job(patient), "started_ms", -300_000)
            redis.hincrby(keys.job(patient), "asked_ms", -300_000)

        running.decide(action, "approve")

        assert running.finished(patient)["status"] == "succeeded"
        late = running.finished(hurried)
        assert (late["status"], late["incomplete_details"]["reason"]) == ("incomplete", "deadline_exceeded")


@pytest.mark.slow
def test_it_waits_through_restarts_of_everything(provider: ProviderProcess, tmp_path: Path) -> None:
    prompt = tidying_up("2026-003")
    with RedisServer(tmp_path, options={"appendfsync": "always"}) as server:
        with stack(server.url, provider.url, workers=2, **INVOICES) as before:
            job_id = before.submit("invoices", prompt)
            before.asked(job_id)
        server.kill()
        server.start()
        with stack(server.url, provider.url, **INVOICES) as after:
            assert after.job(job_id)["status"] == "requires_action"
            (action,) = after.http.get("/v1/actions").json()["data"]
            assert action["job_id"] == job_id

            after.decide(action, "approve")

            job = after.finished(job_id)
            assert job["status"] == "succeeded"
            deletion, look = results(job, after)
            assert deletion["content"] == "Invoice 2026-003 is deleted."
            assert "there is no invoice 2026-003" in look["content"]
            assert bought(provider, prompt) == 10
