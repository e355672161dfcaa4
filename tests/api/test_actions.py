"""`/v1/actions` and decisions: what a person sees, says and is told."""

import asyncio
from typing import Any

import httpx2
import pytest

from api.action_schemas import ActionResource
from shared import ids, keys
from shared.action import ActionKind
from shared.redis_client import Redis
from shared.states import Status
from tests.api.talk import WORK, StandIn, check_job, job_of, pointers, problem
from tests.shared.queueing import asked, sweep

SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "string", "minLength": 1}, "times": {"type": "integer", "minimum": 1}},
    "required": ["number"],
    "additionalProperties": False,
}


async def waiting(http: httpx2.AsyncClient, worker: StandIn, *kinds: ActionKind) -> tuple[str, list[str]]:
    """A job that asks such questions, an approval if none is given; their ids."""
    job_of(await http.post("/v1/jobs", json=WORK), 202)
    (job,) = await worker.take()
    about: dict[str, Any] = {"tool": "delete_invoice", "input": {"number": "17"}, "input_schema": SCHEMA}
    questions = [asked(job.id, kind, **about) for kind in kinds or [ActionKind.APPROVAL]]
    assert await worker.ask(job, *questions) == Status.REQUIRES_ACTION
    return job.id, [one.id for one in questions]


async def decide(http: httpx2.AsyncClient, job_id: str, action_id: str, **body: Any) -> httpx2.Response:
    return await http.post(f"/v1/jobs/{job_id}/actions/{action_id}", json=body)


def action_of(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert ActionResource.model_validate(body).model_dump(mode="json") == body
    return body


async def inbox(http: httpx2.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get("/v1/actions", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_waiting_job_says_what_it_asks(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id, (action_id,) = await waiting(http, worker)

    job = job_of(await http.get(f"/v1/jobs/{job_id}"))

    assert job["status"] == "requires_action"
    assert (job["wait_reason"], job["queue"]) == (None, None)
    (action,) = job["required_actions"]
    assert (action["id"], action["tool"], action["input"]) == (action_id, "delete_invoice", {"number": "17"})
    assert (action["status"], action["decisions"]) == ("pending", ["approve", "deny", "edit"])
    assert action["expires_at"] > action["created_at"]
    (listed,) = (await http.get("/v1/jobs")).json()["data"]
    check_job(listed)
    assert listed["required_actions"] == [action]
    assert (await inbox(http))["data"] == [action]


async def test_a_job_that_waits_is_counted_so(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await waiting(http, worker)
    queue = (await http.get("/v1/queue")).json()
    assert (queue["depth"], queue["running"], queue["requires_action"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ActionKind.APPROVAL, {"decision": "approve"}),
        (ActionKind.APPROVAL, {"decision": "deny", "comment": "Not this one."}),
        (ActionKind.APPROVAL, {"decision": "edit", "input": {"number": "18", "times": 2}}),
        (ActionKind.OUTCOME, {"decision": "done"}),
        (ActionKind.OUTCOME, {"decision": "done", "result": {"receipt": [7, None]}}),
        (ActionKind.OUTCOME, {"decision": "not_done", "comment": "The invoice is still there."}),
    ],
)
async def test_a_decision_is_taken_and_the_job_goes_on(
    http: httpx2.AsyncClient, worker: StandIn, kind: ActionKind, body: dict[str, Any]
) -> None:
    job_id, (action_id,) = await waiting(http, worker, kind)

    action = action_of(await decide(http, job_id, action_id, **body))

    assert (action["id"], action["status"], action["decision"]) == (action_id, "decided", body["decision"])
    assert (action["comment"], action["edited_input"]) == (body.get("comment"), body.get("input"))
    assert action["result"] == body.get("result")
    assert action["decided_at"] >= action["created_at"]
    job = job_of(await http.get(f"/v1/jobs/{job_id}"))
    assert (job["status"], job["required_actions"]) == ("queued", [])
    assert (await inbox(http))["data"] == []
    assert [one.id for one in await worker.take()] == [job_id]


async def test_a_long_poll_hears_of_a_decision(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id, (action_id,) = await waiting(http, worker)
    tag = (await http.get(f"/v1/jobs/{job_id}")).headers["etag"]
    poll = asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=20", headers={"If-None-Match": tag}))

    await decide(http, job_id, action_id, decision="approve")

    assert job_of(await poll)["status"] == "queued"


async def test_decided_twice_is_409_and_says_what_was_said(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id, (action_id, _) = await waiting(http, worker, ActionKind.APPROVAL, ActionKind.APPROVAL)
    await decide(http, job_id, action_id, decision="deny")

    told = problem(await decide(http, job_id, action_id, decision="deny"), 409, "already_decided")

    assert "It was decided before: deny at 20" in told["detail"]


async def test_of_many_who_decide_at_once_one_does(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id, (action_id,) = await waiting(http, worker)

    answers = await asyncio.gather(*(decide(http, job_id, action_id, decision="approve") for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + 19 * [409]


async def test_an_expired_one_is_409_and_says_so(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id, (action_id,) = await waiting(http, worker)
    await redis.zadd(keys.DECIDING, {job_id: 1})
    await sweep(redis)

    told = problem(await decide(http, job_id, action_id, decision="approve"), 409, "already_decided")

    assert "Nobody decided in time: expired" in told["detail"]


async def test_when_the_job_has_ended_it_is_409_and_says_so(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id, (action_id,) = await waiting(http, worker)
    assert job_of(await http.post(f"/v1/jobs/{job_id}/cancel"))["status"] == "cancelled"

    told = problem(await decide(http, job_id, action_id, decision="approve"), 409, "already_decided")

    assert "The job ended before anybody decided: withdrawn" in told["detail"]
    assert (await inbox(http))["data"] == []


@pytest.mark.parametrize("named", ["job", "action", "neither is an id"])
async def test_what_there_is_not_is_404(http: httpx2.AsyncClient, worker: StandIn, named: str) -> None:
    job_id, (action_id,) = await waiting(http, worker)
    job_id = ids.new_job_id() if named == "job" else job_id
    action_id = ids.new_action_id() if named == "action" else action_id if named == "job" else "x:decided"

    problem(await decide(http, job_id, action_id, decision="approve"), 404, "not_found")


@pytest.mark.parametrize(
    ("kind", "body", "pointer"),
    [
        (ActionKind.APPROVAL, {"decision": "done"}, "#/decision"),
        (ActionKind.OUTCOME, {"decision": "approve"}, "#/decision"),
        (ActionKind.OUTCOME, {"decision": "edit", "input": {"number": "1"}}, "#/decision"),
        (ActionKind.APPROVAL, {"decision": "expired"}, "#/decision"),
        (ActionKind.APPROVAL, {}, "#/decision"),
        (ActionKind.APPROVAL, {"decision": "edit"}, "#"),
        (ActionKind.APPROVAL, {"decision": "approve", "input": {"number": "1"}}, "#"),
        (ActionKind.APPROVAL, {"decision": "edit", "input": {"number": 1}}, "#/input/number"),
        (ActionKind.APPROVAL, {"decision": "edit", "input": {}}, "#/input"),
        (ActionKind.APPROVAL, {"decision": "edit", "input": {"number": "1", "times": 0}}, "#/input/times"),
        (ActionKind.APPROVAL, {"decision": "edit", "input": {"number": "1", "a/b": 0}}, "#/input/a~1b"),
        (ActionKind.APPROVAL, {"decision": "approve", "comment": ""}, "#/comment"),
        (ActionKind.APPROVAL, {"decision": "approve", "result": 1}, "#"),
        (ActionKind.OUTCOME, {"decision": "not_done", "result": "no"}, "#"),
        (ActionKind.APPROVAL, {"decision": "approve", "who": "me"}, "#/who"),
    ],
)
async def test_what_does_not_fit_the_question_is_422_and_decides_nothing(
    http: httpx2.AsyncClient, worker: StandIn, kind: ActionKind, body: dict[str, Any], pointer: str
) -> None:
    job_id, (action_id,) = await waiting(http, worker, kind)

    told = problem(await decide(http, job_id, action_id, **body), 422, "invalid_request")

    assert pointers(told) == {pointer}
    assert [one["id"] for one in (await inbox(http))["data"]] == [action_id]


async def test_the_inbox_is_a_list_like_that_of_jobs(http: httpx2.AsyncClient, worker: StandIn) -> None:
    made = [action_id for _ in range(3) for action_id in (await waiting(http, worker))[1]][::-1]

    first = await inbox(http, status="pending", limit=2)
    rest = await inbox(http, after=first["last_id"])
    newer = await inbox(http, before=made[-1], limit=1)

    assert [one["id"] for one in first["data"]] == made[:2]
    assert (first["object"], first["has_more"]) == ("list", True)
    assert (first["first_id"], first["last_id"]) == (made[0], made[1])
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (made[2:], False)
    assert [one["id"] for one in newer["data"]] == [made[1]]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"after": "act_1"}, 400, "bad_cursor"),
        ({"before": ids.new_job_id()}, 400, "bad_cursor"),
        ({"after": ids.new_action_id(), "before": ids.new_action_id()}, 422, "invalid_request"),
        ({"status": "decided"}, 422, "invalid_request"),
        ({"limit": "0"}, 422, "invalid_request"),
    ],
)
async def test_a_wrong_question_to_the_inbox(
    http: httpx2.AsyncClient, query: dict[str, str], status: int, code: str
) -> None:
    problem(await http.get("/v1/actions", params=query), status, code)


async def test_followers_are_told_of_both(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id, (action_id,) = await waiting(http, worker)
    await decide(http, job_id, action_id, decision="approve")

    events = (await http.get(f"/v1/jobs/{job_id}/events")).json()["data"]

    told = [(event["type"], event["data"]) for event in events if event["type"].startswith("action.")]
    assert [kind for kind, _ in told] == ["action.requested", "action.decided"]
    assert told[0][1]["input"] == {"number": "17"}
    assert told[0][1]["action_id"] == action_id
    assert told[1][1] == {"action_id": action_id, "decision": "approve"}
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
