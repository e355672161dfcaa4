"""GET /v1/jobs/{id}: the job as it is, as it changes, and only when it changed."""

import asyncio

import httpx2
import pytest

from shared.job import IncompleteReason, JobError, WaitReason
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from tests.api.talk import WORK, StandIn, job_of, problem, reach

NO_JOB = "job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"
STRANGE_IDS = {
    "unknown": NO_JOB,
    "upper case": NO_JOB.upper(),
    "no prefix": NO_JOB.removeprefix("job_"),
    "another version of UUID": NO_JOB.replace("-7c3e-", "-4c3e-"),
    "a line end": NO_JOB + "%0A",
    "NUL": "%00",
    "NUL after an id": NO_JOB + "%00",
    "a way up": "..%2F..%2Fetc%2Fpasswd",
    "dots": "%2E%2E",
    "very long": "x" * 20_000,
    "unicode": "%D0%B8%D0%B4",
    "no UTF-8": "%FF%FE",
    "a percent sign": "%25",
    "a broken percent sign": "%zz",
    "a star": "*",
    "a key of ours": "sluice:leases",
    "blanks": "%20%20",
    "a query in the path": "%3Fwait=5",
}


async def submit(http: httpx2.AsyncClient) -> str:
    return str((await http.post("/v1/jobs", json=WORK)).json()["id"])


@pytest.mark.parametrize("job_id", STRANGE_IDS.values(), ids=STRANGE_IDS.keys())
async def test_an_id_of_no_job_is_404(http: httpx2.AsyncClient, job_id: str) -> None:
    problem(await http.get(f"/v1/jobs/{job_id}"), 404, "not_found")
    problem(await http.get(f"/v1/jobs/{job_id}?wait=30"), 404, "not_found")
    problem(await http.post(f"/v1/jobs/{job_id}/cancel"), 404, "not_found")


async def test_a_job_is_told_through_its_whole_life(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await submit(http)
    waits = job_of(await http.get(f"/v1/jobs/{job_id}"))
    assert (waits["status"], waits["started_at"], waits["queue"]["position"]) == ("queued", None, 1)

    await worker.take()
    runs = job_of(await http.get(f"/v1/jobs/{job_id}"))
    assert (runs["status"], runs["queue"], runs["wait_reason"], runs["finished_at"]) == ("running", None, None, None)
    assert runs["started_at"] >= runs["created_at"]

    await worker.finish(job_id, "42")
    answer = await http.get(f"/v1/jobs/{job_id}")
    ended = job_of(answer)
    assert (ended["status"], ended["output"], ended["error"]) == ("succeeded", "42", None)
    assert ended["finished_at"] >= ended["started_at"] == runs["started_at"]
    assert "retry-after" not in answer.headers
    assert waits["revision"] < runs["revision"] < ended["revision"]


STRANGE = b"caf\xe9".decode(errors="surrogateescape")
"""A file name as Python has it: half of a surrogate pair, which is no UTF-8."""


@pytest.mark.parametrize(
    "conclusion",
    [
        Conclusion(Event.SUCCEED, output=STRANGE),
        Conclusion(Event.FAIL, error=JobError("agent", "agent_error", STRANGE, True)),
        Conclusion(Event.STOP_SHORT, incomplete=IncompleteReason.LOOP_DETECTED, message=STRANGE),
    ],
    ids=lambda one: one.event,
)
async def test_whatever_python_takes_for_a_text_can_be_written_and_told(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis, conclusion: Conclusion
) -> None:
    job_id = await submit(http)
    await worker.take()
    await Queue(redis, retention_ms=3_600_000).finish("stand-in", job_id, conclusion)

    assert "caf?" in (await http.get(f"/v1/jobs/{job_id}")).text
    job_of(await http.get(f"/v1/jobs/{job_id}"))
    assert (await http.get(f"/v1/jobs/{job_id}/events")).status_code == 200


async def test_a_job_that_is_parked_says_why_and_until_when(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await submit(http)
    await worker.take()
    queue = Queue(redis, retention_ms=60_000)
    await queue.release("stand-in", job_id, WaitReason.PROVIDER_OUTAGE, delay_ms=60_000)
    job = job_of(await http.get(f"/v1/jobs/{job_id}"))
    assert (job["status"], job["wait_reason"]) == ("queued", "provider_outage")
    assert job["next_attempt_at"] == job["queue"]["estimated_start_at"] > job["created_at"]


async def test_an_incomplete_job_is_told_as_the_contract_says(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await submit(http)
    await worker.take()
    await worker.finish(job_id, "Half.", Event.STOP_SHORT)
    job = job_of(await http.get(f"/v1/jobs/{job_id}"))
    assert (job["status"], job["output"]) == ("incomplete", "Half.")


async def test_an_unfinished_job_says_when_to_ask_again(http: httpx2.AsyncClient) -> None:
    answer = await http.get(f"/v1/jobs/{await submit(http)}")
    assert 1 <= int(answer.headers["retry-after"]) <= 60


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "*", '"0", W/"1"', 'W/"7" ,  "1"'])
async def test_a_known_revision_is_304_without_a_body(http: httpx2.AsyncClient, tag: str) -> None:
    answer = await http.get(f"/v1/jobs/{await submit(http)}", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("tag", ['W/"2"', '"11"', "1", "", "W/", '""', '"', "\u00ff", ",,,"])
async def test_any_other_tag_is_answered_with_the_job(http: httpx2.AsyncClient, tag: str) -> None:
    headers = [(b"If-None-Match", tag.encode("latin-1"))]
    job_of(await http.get(f"/v1/jobs/{await submit(http)}", headers=headers))


async def test_the_revision_changes_with_every_change(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await submit(http)
    await worker.take()
    job_of(await http.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": 'W/"1"'}))


async def test_a_long_poll_answers_at_the_next_change(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await submit(http)
    headers = {"If-None-Match": 'W/"1"'}
    polls = [asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=25", headers=headers)) for _ in range(20)]
    await reach(http)
    assert not any(poll.done() for poll in polls)
    await worker.take()
    for answer in await asyncio.gather(*polls):
        assert job_of(answer)["status"] == "running"
        assert answer.elapsed.total_seconds() < 10


async def test_a_long_poll_is_not_woken_by_other_jobs(http: httpx2.AsyncClient, worker: StandIn) -> None:
    other, job_id = await worker.add(), await submit(http)
    poll = asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=1", headers={"If-None-Match": '"1"'}))
    await reach(http)
    assert await worker.run() == other
    assert (await poll).status_code == 304
    assert (await poll).elapsed.total_seconds() >= 1


async def test_a_long_poll_without_a_tag_waits_for_a_change_too(http: httpx2.AsyncClient) -> None:
    answer = await http.get(f"/v1/jobs/{await submit(http)}?wait=0.3")
    assert job_of(answer)["revision"] == 1
    assert 0.3 <= answer.elapsed.total_seconds() < 10


async def test_a_long_poll_with_an_old_tag_answers_at_once(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await submit(http)
    await worker.take()
    answer = await http.get(f"/v1/jobs/{job_id}?wait=25", headers={"If-None-Match": 'W/"1"'})
    assert job_of(answer)["status"] == "running"
    assert answer.elapsed.total_seconds() < 10


@pytest.mark.parametrize("wait", ["25", "60", "61", "1e9", "inf", "0"])
async def test_a_long_poll_of_an_ended_job_answers_at_once(
    http: httpx2.AsyncClient, worker: StandIn, wait: str
) -> None:
    job_id = await submit(http)
    await worker.run()
    answer = await http.get(f"/v1/jobs/{job_id}?wait={wait}")
    assert job_of(answer)["status"] == "succeeded"
    assert answer.elapsed.total_seconds() < 10
    headers = {"If-None-Match": answer.headers["etag"]}
    assert (await http.get(f"/v1/jobs/{job_id}?wait={wait}", headers=headers)).status_code == 304


@pytest.mark.parametrize("wait", ["-1", "nan", "-inf", "x", "", "1s", "%00", "٣٤x", "true"])
async def test_a_wait_that_is_no_time_is_refused_by_name(http: httpx2.AsyncClient, wait: str) -> None:
    body = problem(await http.get(f"/v1/jobs/{NO_JOB}?wait={wait}"), 422, "invalid_request")
    assert body["errors"][0]["pointer"] == "?wait"
