"""POST /v1/jobs: what comes in, and what is said about it."""

import asyncio

import httpx2
import pytest

from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, job_of, problem, settled, waiting
from tests.shared.queueing import asked

EVERYTHING = {
    "agent": "frugal",
    "input": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
        {"role": "user", "content": [{"type": "text", "text": "How are you?", "cache_control": {"type": "ephemeral"}}]},
    ],
    "priority": "high",
    "session_id": "chat:1.a-b_c",
    "budget": {"max_turns": 4, "max_tokens": 999, "max_cost_usd": "0.25", "max_seconds": 59},
    "metadata": {"order": "17", "smile \U0001f680": "\U0001f680 \u0001 \u2028"},
}


async def test_a_new_job_is_answered_with_202_and_where_to_look(http: httpx2.AsyncClient, redis: Redis) -> None:
    answer = await http.post("/v1/jobs", json=WORK)
    job = job_of(answer, 202)
    assert job["status"] == "queued"
    assert job["wait_reason"] == "capacity"
    assert job["revision"] == 1
    assert job["queue"]["position"] == 1
    assert job["queue"]["depth"] == 1
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    assert answer.headers["ratelimit-policy"] == '"queue";q=10000'
    assert answer.headers["ratelimit"].startswith('"queue";r=9999;t=')
    assert "idempotency-replayed" not in answer.headers
    assert "preference-applied" not in answer.headers
    assert await waiting(redis) == 1


async def test_the_location_leads_to_the_same_job(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/jobs", json=WORK)
    assert settled(job_of(await http.get(answer.headers["location"]))) == settled(answer.json())


async def test_every_field_comes_back_as_it_was_sent(http: httpx2.AsyncClient) -> None:
    submitted = job_of(await http.post("/v1/jobs", json=EVERYTHING), 202)
    assert submitted["budget"] == EVERYTHING["budget"] | {"max_cost_usd": "0.250000"}
    assert {name: submitted[name] for name in EVERYTHING} | {"budget": EVERYTHING["budget"]} == EVERYTHING
    assert settled(job_of(await http.get(f"/v1/jobs/{submitted['id']}"))) == settled(submitted)


async def test_a_job_without_a_budget_has_its_agents(http: httpx2.AsyncClient) -> None:
    job = job_of(await http.post("/v1/jobs", json=WORK | {"agent": "frugal"}), 202)
    assert job["budget"] == {"max_turns": 5, "max_tokens": 1000, "max_cost_usd": "0.500000", "max_seconds": 60}


async def test_a_budget_as_large_as_the_agents_is_taken(http: httpx2.AsyncClient) -> None:
    budget = {"max_turns": 5, "max_tokens": 1000, "max_cost_usd": "0.500000", "max_seconds": 60}
    job = job_of(await http.post("/v1/jobs", json=WORK | {"agent": "frugal", "budget": budget}), 202)
    assert job["budget"] == budget


async def test_numbers_in_the_input_survive_exactly(http: httpx2.AsyncClient) -> None:
    block = {"type": "x", "big": 12345678901234567890123, "half": 0.5, "small": 5e-324, "no": None, "yes": True}
    given = [{"role": "user", "content": [block]}]
    job = job_of(await http.post("/v1/jobs", json=WORK | {"input": given}), 202)
    assert job_of(await http.get(f"/v1/jobs/{job['id']}"))["input"] == given


async def test_places_in_the_queue_are_told_by_priority(http: httpx2.AsyncClient) -> None:
    places = [("standard", 1), ("low", 2), ("high", 1), ("standard", 3)]
    for priority, place in places:
        job = job_of(await http.post("/v1/jobs", json=WORK | {"priority": priority}), 202)
        assert job["queue"]["position"] == place


async def test_the_retry_after_grows_with_what_is_ahead(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await worker.paced(slots=2, busy_seconds=5)
    for _ in range(10):
        await worker.add()
    answer = await http.post("/v1/jobs", json=WORK)
    assert int(answer.headers["retry-after"]) == 23, "10 jobs ahead, two of which start at once, and 5 s for every two"
    assert job_of(answer, 202)["queue"]["estimated_start_at"] > answer.json()["created_at"]


async def test_a_callers_trace_goes_along_with_the_job(http: httpx2.AsyncClient, worker: StandIn) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await http.post("/v1/jobs", json=WORK, headers={"traceparent": trace})
    (job,) = await worker.take()
    assert job.spec.traceparent == trace


async def test_prefer_wait_answers_200_once_the_job_has_ended(http: httpx2.AsyncClient, worker: StandIn) -> None:
    submit = asyncio.create_task(http.post("/v1/jobs", json=WORK, headers={"Prefer": "wait=20"}))
    while not (taken := await worker.take()):
        assert not submit.done()
    assert not submit.done(), "running is not ended"
    await worker.finish(taken[0].id, "An answer.")
    answer = await submit
    job = job_of(answer, 200)
    assert (job["status"], job["output"]) == ("succeeded", "An answer.")
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert "retry-after" not in answer.headers


async def test_prefer_wait_answers_202_when_the_time_is_up(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/jobs", json=WORK, headers={"Prefer": "respond-async, wait=1"})
    assert job_of(answer, 202)["status"] == "queued"
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.elapsed.total_seconds() >= 1


async def test_prefer_wait_answers_202_when_a_person_is_asked(http: httpx2.AsyncClient, worker: StandIn) -> None:
    """The caller has something to do; the time that is left would pass for nothing."""
    keyed = {"Idempotency-Key": "order-17", "Prefer": "wait=60"}
    submit = asyncio.create_task(http.post("/v1/jobs", json=WORK, headers=keyed))
    while not (taken := await worker.take()):
        assert not submit.done()
    question = asked(taken[0].id)
    await worker.ask(taken[0], question)
    async with asyncio.timeout(20):
        answer = await submit
        again = await http.post("/v1/jobs", json=WORK, headers=keyed)
    job = job_of(answer, 202)
    assert (job["status"], [one["id"] for one in job["required_actions"]]) == ("requires_action", [question.id])
    assert answer.headers["preference-applied"] == "wait=60"
    assert job_of(again, 202) == job, "nor does a repeat wait for what has come"


async def test_prefer_wait_is_capped_at_a_minute(http: httpx2.AsyncClient, worker: StandIn) -> None:
    submit = asyncio.create_task(http.post("/v1/jobs", json=WORK, headers={"Prefer": "wait=999999999"}))
    while not (taken := await worker.take()):
        assert not submit.done()
    await worker.finish(taken[0].id)
    assert (await submit).headers["preference-applied"] == "wait=60"


@pytest.mark.parametrize("preference", ["wait", "wait=", "wait=soon", "wait=-1", "await=9", "wait=9999999999", ""])
async def test_a_preference_that_is_none_is_ignored(http: httpx2.AsyncClient, preference: str) -> None:
    answer = await http.post("/v1/jobs", json=WORK, headers={"Prefer": preference})
    job_of(answer, 202)
    assert "preference-applied" not in answer.headers
    assert answer.elapsed.total_seconds() < 5


async def test_an_unknown_agent_is_named_with_those_there_are(http: httpx2.AsyncClient, redis: Redis) -> None:
    body = problem(await http.post("/v1/jobs", json=WORK | {"agent": "nobody"}), 422, "unknown_agent")
    assert "assistant, frugal" in body["detail"]
    assert body["errors"][0]["pointer"] == "#/agent"
    assert await waiting(redis) == 0
