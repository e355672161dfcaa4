"""Sessions over HTTP: submit into one, read it, delete it; conflicts, one by one and in batches."""

from typing import Any

import httpx2
import pytest

from shared.checkpoints import Checkpoints
from shared.job import Job
from shared.redis_client import Redis
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.api.talk import WORK, StandIn, job_of, pointers, problem

ASKED = WORK | {"session_id": "chat-1"}


async def submit(http: httpx2.AsyncClient, **fields: Any) -> str:
    return str(job_of(await http.post("/v1/jobs", json=ASKED | fields), 202)["id"])


async def answer(redis: Redis, job: Job, said: str) -> None:
    record = ModelRecord(1, [{"type": "text", "text": said}], "end_turn", Usage(), "default", "m", None, 1)
    await Checkpoints(redis).append("stand-in", job.id, 0, record)


async def run(redis: Redis, worker: StandIn, said: str = "A line.") -> str:
    (job,) = await worker.take()
    await answer(redis, job, said)
    await worker.finish(job.id, said)
    return job.id


async def session_of(http: httpx2.AsyncClient, session_id: str = "chat-1") -> dict[str, Any]:
    found = await http.get(f"/v1/sessions/{session_id}")
    assert found.status_code == 200, found.text
    body: dict[str, Any] = found.json()
    return body


async def test_a_session_from_its_first_job_to_its_end(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
    problem(await http.get("/v1/sessions/chat-1"), 404, "not_found")
    first, second = await submit(http), await submit(http, input="And a worker?")

    session = await session_of(http)
    assert session == {
        "id": "chat-1",
        "object": "session",
        "live_job": {"id": first, "status": "queued"},
        "waiting": 1,
        "jobs": [],
        "turns": 0,
        "messages": [],
        "expires_at": None,
        "links": {"self": "/v1/sessions/chat-1", "jobs": "/v1/jobs?session_id=chat-1"},
    }
    await run(redis, worker)
    session = await session_of(http)
    assert session["live_job"] == {"id": second, "status": "queued"}
    assert session["jobs"] == [{"id": first, "status": "succeeded"}]
    await run(redis, worker, "Who takes from it.")

    session = await session_of(http)
    assert (session["live_job"], session["waiting"], session["turns"]) == (None, 0, 2)
    assert session["expires_at"] is not None
    assert session["messages"] == [
        {"role": "user", "content": WORK["input"]},
        {"role": "assistant", "content": [{"type": "text", "text": "A line."}]},
        {"role": "user", "content": "And a worker?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Who takes from it."}]},
    ]
    listed = (await http.get(session["links"]["jobs"])).json()["data"]
    assert [job["id"] for job in listed] == [second, first]

    assert (await http.delete("/v1/sessions/chat-1")).status_code == 204
    problem(await http.get("/v1/sessions/chat-1"), 404, "not_found")
    problem(await http.delete("/v1/sessions/chat-1"), 404, "not_found")
    assert job_of(await http.get(f"/v1/jobs/{first}"))["output"] == "A line.", "its jobs stay"


async def test_one_that_waits_for_its_session_says_so(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await submit(http)
    told = job_of(await http.post("/v1/jobs", json=ASKED), 202)
    read = job_of(await http.get(f"/v1/jobs/{told['id']}"))

    for job in (told, read):
        assert (job["status"], job["wait_reason"], job["queue"]["position"]) == ("queued", "session_busy", 2)
    await worker.run()
    assert job_of(await http.get(f"/v1/jobs/{told['id']}"))["wait_reason"] == "capacity"


async def test_a_conflict_is_refused_when_that_is_wished(http: httpx2.AsyncClient, worker: StandIn) -> None:
    alone = ASKED | {"on_conflict": "reject"}
    live = job_of(await http.post("/v1/jobs", json=alone), 202)["id"]

    body = problem(await http.post("/v1/jobs", json=alone, headers={"Idempotency-Key": "k"}), 409, "session_busy")
    assert live in body["detail"]
    assert "cancel" in body["detail"]

    await worker.run()
    again = await http.post("/v1/jobs", json=alone, headers={"Idempotency-Key": "k"})
    assert job_of(again, 202)["wait_reason"] == "capacity", "the key was not used up"
    repeat = await http.post("/v1/jobs", json=alone, headers={"Idempotency-Key": "k"})
    assert job_of(repeat, 202)["id"] == again.json()["id"], "a repeat meets itself, not a conflict"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"on_conflict": "wait", "session_id": "a"}, "#/on_conflict"),
        ({"on_conflict": None, "session_id": "a"}, "#/on_conflict"),
        ({"on_conflict": "reject"}, "#"),
        ({"on_conflict": "reject", "session_id": "a", "delay_seconds": 5}, "#"),
        ({"on_conflict": "reject", "session_id": "a", "run_at": "2999-01-01T00:00:00Z"}, "#"),
        ({"session_id": ""}, "#/session_id"),
        ({"session_id": "a b"}, "#/session_id"),
        ({"session_id": "a\n"}, "#/session_id"),
        ({"session_id": ":a"}, "#/session_id"),
        ({"session_id": "x" * 129}, "#/session_id"),
    ],
)
async def test_what_cannot_be_meant(http: httpx2.AsyncClient, fields: dict[str, Any], pointer: str) -> None:
    body = problem(await http.post("/v1/jobs", json=WORK | fields), 422, "invalid_request")
    assert pointers(body) == {pointer}


async def test_in_a_batch_the_order_is_that_of_the_request(http: httpx2.AsyncClient, worker: StandIn) -> None:
    jobs = [ASKED, ASKED | {"on_conflict": "reject"}, ASKED | {"priority": "high"}, WORK]

    body = (await http.post("/v1/jobs:batch", json={"jobs": jobs})).json()

    assert [one["status"] for one in body["data"]] == [202, 409, 202, 202]
    assert body["data"][1]["error"]["code"] == "session_busy"
    first, third = body["data"][0]["job"], body["data"][2]["job"]
    assert third["wait_reason"] == "session_busy"
    taken = await worker.take(10)
    assert {job.id for job in taken} == {first["id"], body["data"][3]["job"]["id"]}
    await worker.finish(first["id"])
    assert [job.id for job in await worker.take(10)] == [third["id"]]


async def test_a_conflict_refuses_a_batch_of_all_or_nothing(http: httpx2.AsyncClient, worker: StandIn) -> None:
    jobs = [WORK, ASKED, ASKED | {"on_conflict": "reject"}]

    body = problem(await http.post("/v1/jobs:batch", json={"jobs": jobs, "all_or_nothing": True}), 409, "session_busy")

    assert pointers(body) == {"#/jobs/2"}
    assert await worker.take(10) == []


async def test_a_session_somebody_is_at_is_not_deleted(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
    first = await submit(http)
    await run(redis, worker)
    live, waiting = await submit(http), await submit(http)

    body = problem(await http.delete("/v1/sessions/chat-1"), 409, "session_busy")
    assert live in body["detail"]
    assert (await session_of(http))["jobs"] == [{"id": first, "status": "succeeded"}]

    for job_id in (live, waiting):
        await http.post(f"/v1/jobs/{job_id}/cancel")
    assert (await http.delete("/v1/sessions/chat-1")).status_code == 204


async def test_its_session_forgets_a_job_that_is_deleted(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn
) -> None:
    jobs = []
    for said in ("one", "two"):
        await submit(http)
        jobs.append(await run(redis, worker, said))

    assert (await http.delete(f"/v1/jobs/{jobs[0]}")).status_code == 204

    session = await session_of(http)
    assert [job["id"] for job in session["jobs"]] == jobs[1:]
    assert "one" not in str(session["messages"])


@pytest.mark.parametrize("odd", ["%20", "a%20b", "a%2Fb", "*", "%00", "x" * 129, "%E2%82%AC"])
async def test_what_no_session_can_be_called_is_not_there(http: httpx2.AsyncClient, odd: str) -> None:
    problem(await http.get(f"/v1/sessions/{odd}"), 404, "not_found")
    problem(await http.delete(f"/v1/sessions/{odd}"), 404, "not_found")
