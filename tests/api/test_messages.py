"""What is said to jobs over HTTP: taken once, refused when nobody would hear it, shown among the turns."""

from typing import Any

import httpx2
import pytest

from api.message_schemas import MessageResource
from shared.catalogue import AgentEntry, Catalogue
from shared.mailbox import Mailbox
from shared.message import LONGEST_MESSAGE, MOST_UNHEARD
from shared.redis_client import Redis
from tests.api.talk import StandIn, pointers, problem
from tests.api.test_read import NO_JOB


async def say(http: httpx2.AsyncClient, job_id: str, content: Any = "Hurry.", key: str = "") -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await http.post(f"/v1/jobs/{job_id}/messages", json={"content": content}, headers=headers)


def taken(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert MessageResource.model_validate(body).model_dump(mode="json") == body
    return body


async def messages(http: httpx2.AsyncClient, job_id: str) -> list[dict[str, Any]]:
    body = (await http.get(f"/v1/jobs/{job_id}/turns")).json()
    found: list[dict[str, Any]] = body["messages"]
    return found


async def test_it_is_taken_waits_and_is_heard(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await worker.add()
    said = taken(await say(http, job_id))
    assert (said["job_id"], said["content"]) == (job_id, "Hurry.")
    (waits,) = await messages(http, job_id)
    assert (waits["id"], waits["after_turn"]) == (said["id"], None)

    await worker.take()
    await Mailbox(redis).hear("stand-in", job_id, 0, 0)

    (heard,) = await messages(http, job_id)
    assert heard == waits | {"after_turn": 0}


async def test_it_changes_the_job_for_whoever_waits(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await worker.add()
    tag = (await http.get(f"/v1/jobs/{job_id}")).headers["etag"]

    taken(await say(http, job_id))

    assert (await http.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": tag})).status_code == 200


async def test_a_repeat_with_its_key_counts_once(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await worker.add()
    first = await say(http, job_id, key="once")
    again = await say(http, job_id, key="once")

    assert taken(first) == taken(again)
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    problem(await say(http, job_id, "Something else.", key="once"), 422, "idempotency_conflict")
    assert len(await messages(http, job_id)) == 1
    other = await worker.add()
    taken(await say(http, other, "Something else.", key="once"))


async def test_a_job_that_has_ended_hears_nothing(http: httpx2.AsyncClient, worker: StandIn) -> None:
    ran, cancelled = await worker.add(), await worker.add()
    await worker.run()
    await http.post(f"/v1/jobs/{cancelled}/cancel")

    for job_id, again in ((ran, "fork"), (cancelled, "retry")):
        told = problem(await say(http, job_id), 409, "already_finished")
        assert f"POST /v1/jobs/{job_id}/{again}" in told["detail"]


async def test_a_custom_agent_hears_nothing(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    budget = {"max_turns": 20, "max_tokens": None, "max_cost_usd": None, "max_seconds": 3600}
    await Catalogue(redis).announce([AgentEntry("errands", "1", "Runs.", "default", [], budget, kind="custom")])
    (await http.get("/v1/agents")).raise_for_status()  # reads the catalogue
    job_id = await worker.add(agent="errands")

    told = problem(await say(http, job_id), 409, "hears_no_messages")
    assert "submit another" in told["detail"]
    await http.post(f"/v1/jobs/{job_id}/cancel")
    retried = await http.post(f"/v1/jobs/{job_id}/retry", json={"message": "Hurry."})
    assert "Leave out `message`" in problem(retried, 409, "hears_no_messages")["detail"]


async def test_too_many_at_once(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await worker.add()
    for number in range(MOST_UNHEARD):
        await Mailbox(redis).send(job_id, str(number), tenant="default")

    problem(await say(http, job_id), 409, "mailbox_full")


@pytest.mark.parametrize("content", ["", " \n", 7, None, ["x"], "x" * (LONGEST_MESSAGE + 1)])
async def test_what_says_nothing_is_refused(http: httpx2.AsyncClient, worker: StandIn, content: Any) -> None:
    job_id = await worker.add()

    assert pointers(problem(await say(http, job_id, content), 422, "invalid_request")) == {"#/content"}
    assert await messages(http, job_id) == []


async def test_half_of_a_character_is_no_text(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await worker.add()
    answer = await http.post(
        f"/v1/jobs/{job_id}/messages",
        content=b'{"content": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    problem(answer, 400, "bad_json")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_cannot_be_one(http: httpx2.AsyncClient, worker: StandIn, key: str) -> None:
    job_id = await worker.add()
    answer = await http.post(f"/v1/jobs/{job_id}/messages", json={"content": "x"}, headers={"Idempotency-Key": key})
    assert pointers(problem(answer, 422, "invalid_request")) == {"Idempotency-Key"}


@pytest.mark.parametrize("job_id", [NO_JOB, "no:id"])
async def test_a_job_that_there_is_not(http: httpx2.AsyncClient, job_id: str) -> None:
    problem(await say(http, job_id), 404, "not_found")
