"""POST /v1/jobs/{id}/cancel: at once while it waits, by its worker while it runs, never twice."""

import httpx2
import pytest

from shared.redis_client import Redis
from shared.states import Event, Status
from tests.api.talk import WORK, StandIn, job_of, waiting


@pytest.fixture
async def job_id(http: httpx2.AsyncClient) -> str:
    return str((await http.post("/v1/jobs", json=WORK)).json()["id"])


async def test_a_waiting_job_is_cancelled_at_once(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn, job_id: str
) -> None:
    job = job_of(await http.post(f"/v1/jobs/{job_id}/cancel"), 200)
    assert (job["status"], job["started_at"]) == ("cancelled", None)
    assert job["finished_at"] is not None
    assert await waiting(redis) == 0
    assert await worker.take() == []


async def test_a_running_job_is_promised_to_end_cancelled(
    http: httpx2.AsyncClient, worker: StandIn, job_id: str
) -> None:
    await worker.take()
    answer = await http.post(f"/v1/jobs/{job_id}/cancel")
    assert job_of(answer, 202)["status"] == "cancelling"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert await worker.finish(job_id, "Too late.") == Status.CANCELLED
    assert job_of(await http.get(f"/v1/jobs/{job_id}"))["status"] == "cancelled"


async def test_to_cancel_again_changes_nothing(http: httpx2.AsyncClient, worker: StandIn, job_id: str) -> None:
    await worker.take()
    first, again = [await http.post(f"/v1/jobs/{job_id}/cancel") for _ in range(2)]
    assert job_of(again, 202) == job_of(first, 202)
    await worker.finish(job_id)
    first, again = [await http.post(f"/v1/jobs/{job_id}/cancel") for _ in range(2)]
    assert job_of(again, 200) == job_of(first, 200)
    assert first.json()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("event", "status"),
    [(Event.SUCCEED, "succeeded"), (Event.FAIL, "failed"), (Event.STOP_SHORT, "incomplete")],
)
async def test_an_ended_job_stays_as_it_is(
    http: httpx2.AsyncClient, worker: StandIn, job_id: str, event: Event, status: str
) -> None:
    await worker.take()
    await worker.finish(job_id, "Kept.", event)
    before = job_of(await http.get(f"/v1/jobs/{job_id}"))
    assert job_of(await http.post(f"/v1/jobs/{job_id}/cancel"), 200) == before
    assert (before["status"], before["output"]) == (status, "Kept.")


async def test_a_body_with_the_request_is_of_no_interest(http: httpx2.AsyncClient, job_id: str) -> None:
    answer = await http.post(f"/v1/jobs/{job_id}/cancel", content=b"\xff not JSON")
    assert job_of(answer, 200)["status"] == "cancelled"


async def test_a_long_poll_hears_of_the_cancel(http: httpx2.AsyncClient, worker: StandIn, job_id: str) -> None:
    await worker.take()
    running = (await http.get(f"/v1/jobs/{job_id}")).headers["etag"]
    await http.post(f"/v1/jobs/{job_id}/cancel")
    answer = await http.get(f"/v1/jobs/{job_id}?wait=25", headers={"If-None-Match": running})
    assert job_of(answer)["status"] == "cancelling"
