"""Jobs for later, for a while, and until a deadline, as a caller sees them over HTTP."""

import json
from typing import Any

from local.provider_process import ProviderProcess
from shared.clock import from_rfc3339, rfc3339
from tests.prompts import conversation, scripted
from tests.stack import Stack

_FAR = "2100-01-01T00:00:00.000Z"


def milliseconds(job: dict[str, Any], field: str) -> int:
    return from_rfc3339(job[field])


def test_a_job_with_a_delay_starts_after_it_and_soon(running: Stack) -> None:
    job_id = running.submit("assistant", scripted(turns=1), delay_seconds=1.5)
    waiting = running.job(job_id)
    assert (waiting["status"], waiting["wait_reason"]) == ("queued", "scheduled")
    assert waiting["queue"]["estimated_start_at"] == waiting["next_attempt_at"]

    job = running.finished(job_id)

    late = milliseconds(job, "started_at") - milliseconds(job, "created_at")
    assert 1500 <= late < 5000
    assert job["status"] == "succeeded"


def test_a_job_for_the_far_future_can_be_cancelled(running: Stack) -> None:
    job_id = running.submit("assistant", "later", run_at=_FAR)
    assert running.job(job_id)["next_attempt_at"] == _FAR

    answer = running.http.post(f"/v1/jobs/{job_id}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_a_job_that_could_not_start_in_time_is_expired(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(turns=1)
    soon = rfc3339(from_rfc3339(running.job(running.submit("assistant", "now"))["created_at"]) + 60_000)
    job_id = running.submit("assistant", prompt, ttl_seconds=0.5, run_at=soon)

    job = running.finished(job_id)

    assert (job["status"], job["started_at"], job["attempt"]) == ("expired", None, 1)
    assert milliseconds(job, "finished_at") >= milliseconds(job, "expires_at")
    assert conversation(simulated.calls(), prompt) == [], "it cost nothing"


def test_a_deadline_ends_a_running_job_with_what_it_has(running: Stack) -> None:
    turns = [{"text": "Half way.", "tools": [{"name": "clock", "input": {}}]}, {"text": "x", "latency": 60}]
    created = from_rfc3339(running.job(running.submit("assistant", "now"))["created_at"])
    job_id = running.submit("researcher", scripted(turns=turns), deadline_at=rfc3339(created + 3000))

    job = running.finished(job_id)

    assert (job["status"], job["incomplete_details"]["reason"]) == ("incomplete", "deadline_exceeded")
    assert job["output"] == "Half way."
    assert 3000 <= milliseconds(job, "finished_at") - created < 15_000


def test_what_cannot_be_meant_is_refused_with_its_reason(running: Stack) -> None:
    for when, word in (
        ({"delay_seconds": 1, "run_at": _FAR}, "both"),
        ({"delay_seconds": 5, "ttl_seconds": 5}, "ttl_seconds"),
        ({"run_at": _FAR, "deadline_at": "2099-01-01T00:00:00Z"}, "deadline_at"),
        ({"delay_seconds": 0}, "greater than 0"),
        ({"ttl_seconds": 1e9}, "less than"),
        ({"run_at": "tomorrow"}, "2026-01-31T12:00:00Z"),
        ({"run_at": "2030-01-01T00:00:00"}, "zone"),
        ({"deadline_at": "0001-01-01T00:00:00Z"}, "1970"),
    ):
        answer = running.http.post("/v1/jobs", json={"agent": "assistant", "input": "x", **when})
        assert answer.status_code == 422, (when, answer.text)
        assert word in json.dumps(answer.json()["errors"]), (when, answer.text)
