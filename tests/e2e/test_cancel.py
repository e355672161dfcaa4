"""Cancel: a waiting job ends at once, a running one within a second, and a promise to cancel is kept."""

from concurrent.futures import ThreadPoolExecutor

from local.provider_process import ProviderProcess
from shared import clock
from tests.prompts import conversation, scripted
from tests.stack import Stack
from tests.waiting import until


async def test_a_running_job_is_cancelled_within_a_second_in_the_middle_of_a_model_call(
    running: Stack, simulated: ProviderProcess
) -> None:
    prompt = scripted(latency=30)
    job_id = running.submit("assistant", prompt)
    await until(lambda: len(conversation(simulated.calls(), prompt)) == 1)

    started = clock.monotonic()
    answer = running.http.post(f"/v1/jobs/{job_id}/cancel")
    job = running.finished(job_id)
    seconds = clock.monotonic() - started

    told = (answer.status_code, answer.json()["status"])
    assert told in ((202, "cancelling"), (200, "cancelled")), "its worker may have been quicker than the answer"
    assert job["status"] == "cancelled"
    assert seconds < 1.5, "within a second, and some for a busy machine"
    await until(lambda: conversation(simulated.calls(), prompt)[0]["client_gone"])


async def test_a_job_cancelled_between_turns_keeps_what_it_has_said(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(
        turns=[{"text": "so far", "tools": [{"name": "clock", "input": {}}]}, {"text": "the end", "latency": 30}]
    )
    job_id = running.submit("researcher", prompt)
    await until(lambda: len(conversation(simulated.calls(), prompt)) == 2)

    running.client.cancel(job_id)
    job = running.finished(job_id)

    assert job["status"] == "cancelled"
    assert job["output"] == "so far"
    assert job["usage"]["turns"] == 1


def test_many_cancels_at_once_agree(running: Stack) -> None:
    job_id = running.submit("assistant", scripted(latency=10))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: running.http.post(f"/v1/jobs/{job_id}/cancel"), range(8)))

    assert {answer.status_code for answer in answers} <= {200, 202}
    assert running.finished(job_id)["status"] == "cancelled"


def test_a_cancel_that_races_with_the_end_is_true_either_way(running: Stack) -> None:
    ends = set()
    for _ in range(20):
        job_id = running.submit("assistant", scripted(output_tokens=5, latency=0))
        told = running.client.cancel(job_id)
        job = running.finished(job_id)
        if told["status"] in ("cancelling", "cancelled"):
            assert job["status"] == "cancelled", "a promise to cancel is kept"
        else:
            assert job["status"] == told["status"]
        ends.add(job["status"])
    assert ends <= {"cancelled", "succeeded"}


def test_cancelling_a_finished_job_changes_nothing(running: Stack) -> None:
    before = running.finished(running.submit("assistant", "done soon"))

    answer = running.http.post(f"/v1/jobs/{before['id']}/cancel")

    assert answer.status_code == 200
    assert answer.json() == before
