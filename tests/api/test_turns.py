"""GET /v1/jobs/{id}/turns: what the model said, who served it, what it cost, and what became of its tool calls."""

from typing import Any

import httpx2
import pytest

from api.turn_schemas import TurnList
from shared.action import ActionKind
from shared.checkpoints import Checkpoints
from shared.redis_client import Redis
from shared.states import Event
from shared.step import Mark, StepIntentRecord, StepRecord
from shared.turn import BrokenRecord, IntentRecord, ModelRecord, Record, ResultRecord, ServedAs
from shared.usage import Usage
from tests.api.talk import WORK, StandIn, job_of, pointers, problem
from tests.api.test_read import STRANGE_IDS
from tests.shared.queueing import asked

COST = Usage(input_tokens=100, output_tokens=20, model_calls=1, turns=1, cost_nano=1_230_000)


def tool_use(name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {"x": name}}


def asks(*names: str, turn: int = 1, stop_reason: str = "tool_use") -> ModelRecord:
    content = [{"type": "text", "text": "Let me see."}, *map(tool_use, names)]
    return ModelRecord(turn, content, stop_reason, COST, "sonnet", "claude-sonnet-4-6", "req_1", 1500)


def result(name: str, text: str = "42", *, turn: int = 1, is_error: bool = False) -> ResultRecord:
    return ResultRecord(turn, f"toolu_{name}", name, text, is_error, 250)


async def running(worker: StandIn, redis: Redis, *records: Record, tenant: str = "default") -> str:
    """The id of a job that has done so much."""
    job_id = await worker.add(tenant=tenant)
    await worker.take()
    for index, record in enumerate(records):
        await Checkpoints(redis).append("stand-in", job_id, index, record)
    return job_id


async def turns(http: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    answer = await http.get(f"/v1/jobs/{job_id}/turns")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert TurnList.model_validate(body).model_dump(mode="json") == body
    assert answer.headers["etag"] == f'W/"{body["revision"]}"'
    return body


async def test_a_job_that_has_done_nothing_has_no_turns(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await worker.add()
    assert await turns(http, job_id) == {
        "object": "list",
        "job_id": job_id,
        "status": "queued",
        "revision": 1,
        "data": [],
        "steps": [],
        "messages": [],
        "broken_calls": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


async def test_a_turn_tells_all_of_it(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await running(worker, redis, asks("clock"), result("clock", "noon"))

    (turn,) = (await turns(http, job_id))["data"]

    assert turn == {
        "object": "turn",
        "turn": 1,
        "content": [{"type": "text", "text": "Let me see."}, tool_use("clock")],
        "stop_reason": "tool_use",
        "target": "sonnet",
        "model": "claude-sonnet-4-6",
        "served_as": "first",
        "request_id": "req_1",
        "duration_seconds": 1.5,
        "usage": COST.as_json() | {"tool_calls": 1},
        "broken_calls": [],
        "tool_calls": [
            {
                "id": "toolu_clock",
                "name": "clock",
                "input": {"x": "clock"},
                "outcome": "succeeded",
                "result": "noon",
                "duration_seconds": 0.25,
                "decisions": [],
            }
        ],
    }
    assert turn["usage"]["cost_usd"] == "0.001230"


async def test_each_turn_has_its_own_receipts(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    """A provider may give the same id to a tool call of another turn."""
    second = ModelRecord(2, [tool_use("a")], "tool_use", COST, "haiku", "claude-haiku", None, 1, ServedAs.FALLBACK)
    records = (asks("a"), result("a", "first"), second, result("a", "second", turn=2, is_error=True))
    job_id = await running(worker, redis, *records)

    first, last = (await turns(http, job_id))["data"]

    assert [turn["tool_calls"][0]["result"] for turn in (first, last)] == ["first", "second"]
    assert [turn["tool_calls"][0]["outcome"] for turn in (first, last)] == ["succeeded", "failed"]
    assert (last["target"], last["model"], last["served_as"]) == ("haiku", "claude-haiku", "fallback")


async def test_the_usage_of_all_turns_is_that_of_the_job(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await running(
        worker, redis, asks("a", "b"), result("a"), result("b"), asks(turn=2, stop_reason="end_turn")
    )
    of_job = (await http.get(f"/v1/jobs/{job_id}")).json()["usage"]
    each = [turn["usage"] for turn in (await turns(http, job_id))["data"]]
    for name in of_job.keys() - {"cost_usd"}:
        assert sum(usage[name] for usage in each) == of_job[name], name
    assert of_job["cost_usd"] == "0.002460"


async def test_turns_are_read_page_by_page(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    records = [
        asks("a", turn=turn) if even else result("a", turn=turn) for turn in range(1, 6) for even in (True, False)
    ]
    job_id = await running(worker, redis, *records)
    seen: list[int] = []
    query = {"limit": 2}
    while True:
        page = (await http.get(f"/v1/jobs/{job_id}/turns", params=query)).json()
        assert TurnList.model_validate(page).model_dump(mode="json") == page
        assert all(turn["tool_calls"][0]["outcome"] == "succeeded" for turn in page["data"])
        seen += [turn["turn"] for turn in page["data"]]
        assert (page["first_id"], page["last_id"]) == (seen[-len(page["data"])], seen[-1])
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    assert seen == [1, 2, 3, 4, 5]
    assert (await http.get(f"/v1/jobs/{job_id}/turns?after=5")).json()["data"] == []
    assert pointers(problem(await http.get(f"/v1/jobs/{job_id}/turns?limit=0"), 422)) == {"?limit"}


async def test_what_a_person_has_decided_stands_with_the_call(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = job_of(await http.post("/v1/jobs", json=WORK), 202)["id"]
    (job,) = await worker.take()
    await Checkpoints(redis).append("stand-in", job_id, 0, asks("a", "b"))
    question = asked(job_id, tool_call_id="toolu_a")
    await worker.ask(job, question)
    edit = {"decision": "edit", "input": {"what": "half"}, "comment": "Not all."}
    assert (await http.post(f"/v1/jobs/{job_id}/actions/{question.id}", json=edit)).status_code == 200

    (turn,) = (await turns(http, job_id))["data"]

    edited, other = turn["tool_calls"]
    (decided,) = edited["decisions"]
    assert decided == {"decision": "edit", "edited_input": {"what": "half"}, "comment": "Not all.", "result": None}
    assert (edited["input"], edited["outcome"]) == ({"x": "a"}, "pending"), "the model's own"
    assert other["decisions"] == []


async def test_what_has_no_receipt_is_pending_and_in_the_end_unknown(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await running(worker, redis, asks("a", "b"), IntentRecord(1, "toolu_b"))
    for status, outcome in (("running", "pending"), ("failed", "unknown")):
        body = await turns(http, job_id)
        assert body["status"] == status
        (turn,) = body["data"]
        assert {(call["outcome"], call["result"], call["duration_seconds"]) for call in turn["tool_calls"]} == {
            (outcome, None, None)
        }
        if status == "running":
            await worker.finish(job_id, event=Event.FAIL)


async def test_a_tool_call_that_was_cut_off_is_never_run(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await running(worker, redis, asks("a", stop_reason="max_tokens"))
    (turn,) = (await turns(http, job_id))["data"]
    assert [call["outcome"] for call in turn["tool_calls"]] == ["not_run"]


async def test_a_known_revision_is_304_until_the_next_turn(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await running(worker, redis, asks("a"))
    known = {"If-None-Match": (await http.get(f"/v1/jobs/{job_id}/turns")).headers["etag"]}
    answer = await http.get(f"/v1/jobs/{job_id}/turns", headers=known)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == known["If-None-Match"]

    await Checkpoints(redis).append("stand-in", job_id, 1, result("a"))

    answer = await http.get(f"/v1/jobs/{job_id}/turns", headers=known)
    assert answer.json()["data"][0]["tool_calls"][0]["outcome"] == "succeeded"


@pytest.mark.parametrize("job_id", STRANGE_IDS.values(), ids=STRANGE_IDS.keys())
async def test_an_id_of_no_job_is_404(http: httpx2.AsyncClient, job_id: str) -> None:
    problem(await http.get(f"/v1/jobs/{job_id}/turns"), 404, "not_found")
    problem(await http.delete(f"/v1/jobs/{job_id}"), 404, "not_found")


async def test_another_tenants_turns_are_404(http: httpx2.AsyncClient, worker: StandIn) -> None:
    problem(await http.get(f"/v1/jobs/{await worker.add(tenant='acme')}/turns"), 404, "not_found")


async def test_the_steps_of_a_custom_agent_tell_what_became_of_them(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    paid, asked, unpaid = Mark("pay", 1, "", 1), Mark("ask", 1, "", 2), Mark("pay", 2, "", 3)
    records = [
        StepIntentRecord(0, paid),
        StepRecord(0, paid, {"receipt": [7]}, "", 1500),
        StepRecord(1, asked, None, "OSError: away", 20),
        StepIntentRecord(1, unpaid),
    ]
    job_id = await running(worker, redis, *records)

    steps = (await turns(http, job_id))["steps"]

    assert steps[0] == {
        "object": "step",
        "name": "pay",
        "number": 1,
        "after_turn": 0,
        "outcome": "succeeded",
        "result": {"receipt": [7]},
        "error": None,
        "duration_seconds": 1.5,
        "decisions": [],
    }
    assert [(one["name"], one["number"], one["outcome"], one["error"]) for one in steps[1:]] == [
        ("ask", 1, "failed", "OSError: away"),
        ("pay", 2, "pending", None),
    ]
    await worker.finish(job_id, Event.FAIL)
    assert (await turns(http, job_id))["steps"][-1]["outcome"] == "unknown"


async def test_what_a_person_has_decided_stands_with_the_step_which_is_one_however_often_it_was_begun(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = job_of(await http.post("/v1/jobs", json=WORK), 202)["id"]
    (job,) = await worker.take()
    intent = StepIntentRecord(0, Mark("pay", 1, "", 1))
    await Checkpoints(redis).append("stand-in", job_id, 0, intent)
    for decision in ({"decision": "not_done"}, {"decision": "done", "result": {"receipt": 7}, "comment": "Seen."}):
        question = asked(job_id, ActionKind.OUTCOME, turn=0, tool_call_id="pay/1", tool="pay")
        await worker.ask(job, question)
        answer = await http.post(f"/v1/jobs/{job_id}/actions/{question.id}", json=decision)
        assert (answer.status_code, answer.json()["result"]) == (200, decision.get("result"))
        (job,) = await worker.take()
        if decision["decision"] == "not_done":
            await Checkpoints(redis).append("stand-in", job_id, 2, intent)

    (step,) = (await turns(http, job_id))["steps"]

    assert (step["outcome"], [one["decision"] for one in step["decisions"]]) == ("pending", ["not_done", "done"])
    assert (step["decisions"][1]["result"], step["decisions"][1]["comment"]) == ({"receipt": 7}, "Seen.")


async def test_steps_are_on_the_page_of_the_turns_between_which_they_were(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    steps = [StepRecord(turn, Mark(f"s{turn}", 1, "", 0), None, "", 1) for turn in range(4)]
    answers = [asks(turn=turn, stop_reason="end_turn") for turn in range(1, 4)]
    records = [steps[0], *(record for pair in zip(answers, steps[1:], strict=True) for record in pair)]
    job_id = await running(worker, redis, *records)
    pages = [(await http.get(f"/v1/jobs/{job_id}/turns?limit=2&after={after}")).json() for after in (0, 2, 3)]
    assert [[turn["turn"] for turn in page["data"]] for page in pages] == [[1, 2], [3], []]
    assert [[step["name"] for step in page["steps"]] for page in pages] == [["s0", "s1"], ["s2", "s3"], ["s3"]]


async def test_a_turn_is_charged_with_the_answers_before_it_that_broke_off(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    lost = BrokenRecord(2, Usage(input_tokens=9, model_calls=1, cost_nano=770_000), "sonnet", "m", "overloaded_error")
    job_id = await running(worker, redis, asks("clock"), result("clock"), lost, asks(turn=2, stop_reason="end_turn"))

    first, second = (await turns(http, job_id))["data"]

    assert first["usage"]["cost_usd"] == "0.001230"
    assert (second["usage"]["cost_usd"], second["usage"]["model_calls"]) == ("0.002000", 2)
    assert [(one["why"], one["usage"]["cost_usd"]) for one in second["broken_calls"]] == [
        ("overloaded_error", "0.000770")
    ]
    job = (await http.get(f"/v1/jobs/{job_id}")).json()
    assert job["usage"]["cost_usd"] == "0.003230", "the sum of its turns"
