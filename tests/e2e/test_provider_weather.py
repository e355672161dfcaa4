"""What the provider can do to a job: faults that pass are tried again, outages park, refusals end it with its words."""

import pytest

from local.provider_process import ProviderProcess
from tests.prompts import conversation, scripted
from tests.stack import Stack
from tests.waiting import until


@pytest.mark.parametrize("fault", ["429", "500", "529", "drop", "drop_mid", "overload_mid", "malformed"])
def test_a_fault_that_passes_costs_an_attempt_and_not_the_job(
    running: Stack, simulated: ProviderProcess, fault: str
) -> None:
    prompt = scripted(fault=fault, times=1, output_tokens=40)

    job = running.finished(running.submit("assistant", prompt))

    assert job["status"] == "succeeded", job
    assert job["attempt"] == 1
    began = fault in ("drop_mid", "overload_mid", "malformed")
    assert job["usage"]["model_calls"] == 1 + began, "what had begun is in the books, what was refused is not"
    calls = conversation(simulated.calls(), prompt)
    assert [call["completed"] for call in calls] == [False, True]


async def test_an_outage_parks_the_job_and_it_succeeds_after(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(turns=[{"fault": "529", "times": 5, "text": "after the storm"}])
    job_id = running.submit("assistant", prompt)

    async def parked() -> bool:
        return running.job(job_id)["wait_reason"] == "provider_outage"

    await until(parked, seconds=60)
    job = running.job(job_id)
    assert job["status"] == "queued"
    assert job["next_attempt_at"] > job["created_at"]

    job = running.finished(job_id, seconds=60)
    assert job["status"] == "succeeded", job
    assert job["output"] == "after the storm"


def test_what_the_provider_refuses_fails_at_once_with_its_words(running: Stack, simulated: ProviderProcess) -> None:
    unpaired = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}]},
        {"role": "user", "content": "no result"},
    ]
    before = simulated.stats()["errors_4xx"]
    job = running.finished(running.submit("researcher", unpaired))

    assert job["status"] == "failed"
    assert job["error"]["type"] == "provider"
    assert job["error"]["code"] == "invalid_request_error"
    assert not job["error"]["retryable"]
    assert "tool_result" in job["error"]["message"]
    assert "request id req_" in job["error"]["message"]
    assert simulated.stats()["errors_4xx"] == before + 1, "asked once, not again"


def test_a_rate_limit_makes_everybody_wait_and_fails_nobody(running: Stack, simulated: ProviderProcess) -> None:
    prompts = [scripted(fault="429", times=1, retry_after=1) for _ in range(5)]
    jobs = [running.submit("assistant", prompt) for prompt in prompts]

    assert {running.finished(job_id, seconds=60)["status"] for job_id in jobs} == {"succeeded"}
