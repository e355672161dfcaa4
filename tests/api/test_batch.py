"""POST /v1/jobs:batch: many jobs in one request, each judged as if it had come alone, or all of them together."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx2
import pytest

from api.batch_schemas import BatchResource
from shared import keys
from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, check_job, keys_like, pointers, problem, waiting

BATCH = "/v1/jobs:batch"
JSON = {"Content-Type": "application/json"}
LIMIT = 8_388_608


async def send(http: httpx2.AsyncClient, *jobs: Any, **more: Any) -> httpx2.Response:
    return await http.post(BATCH, json={"jobs": jobs, **more})


def results(answer: httpx2.Response) -> list[dict[str, Any]]:
    """The results in an answer, which is all that the contract says and nothing else."""
    assert answer.status_code == 200, answer.text[:1000]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    BatchResource.model_validate(body)
    assert set(body) == {"object", "accepted", "refused", "data"}
    assert body["accepted"] == sum(one["job"] is not None for one in body["data"])
    assert body["refused"] == len(body["data"]) - body["accepted"]
    for one in body["data"]:
        assert set(one) == {"status", "job", "error", "idempotency_replayed"}
        if one["error"] is None:
            assert one["status"] == 202
            check_job(one["job"])
        else:
            assert one["job"] is None
            assert one["error"]["status"] == one["status"]
            assert one["error"]["request_id"] == answer.headers["x-request-id"]
    data: list[dict[str, Any]] = body["data"]
    return data


def statuses(answer: httpx2.Response) -> list[int]:
    return [one["status"] for one in results(answer)]


def keyed(key: str, **fields: Any) -> dict[str, Any]:
    return WORK | {"idempotency_key": key} | fields


async def test_jobs_come_in_as_they_were_sent(http: httpx2.AsyncClient, worker: StandIn) -> None:
    sent = [WORK | {"input": f"number {i}", "metadata": {"n": str(i)}} for i in range(5)]

    jobs = [one["job"] for one in results(await send(http, *sent))]

    assert [job["input"] for job in jobs] == [job["input"] for job in sent]
    assert [job["queue"]["position"] for job in jobs] == [1, 2, 3, 4, 5]
    assert [job.id for job in await worker.take(5)] == [job["id"] for job in jobs]


async def test_a_job_of_a_batch_is_as_one_that_came_alone(http: httpx2.AsyncClient) -> None:
    (one,) = results(await send(http, keyed("k", agent="frugal", budget={"max_turns": 2}, delay_seconds=60)))
    alone = (await http.get(one["job"]["links"]["self"])).json()
    assert {**one["job"], "queue": None} == {**alone, "queue": None}
    assert alone["wait_reason"] == "scheduled"


async def test_a_thousand_jobs_are_taken_and_one_more_is_not(http: httpx2.AsyncClient, redis: Redis) -> None:
    assert Counter(statuses(await send(http, *[WORK] * 1000))) == {202: 1000}
    assert await waiting(redis) == 1000
    assert pointers(problem(await send(http, *[WORK] * 1001), 422, "invalid_request")) == {"#/jobs"}
    assert await waiting(redis) == 1000


async def test_a_wrong_job_is_named_and_the_others_are_taken(http: httpx2.AsyncClient, redis: Redis) -> None:
    wrong: list[tuple[Any, str, str]] = [
        ({"input": "x"}, "invalid_request", "#/jobs/1/agent"),
        (WORK | {"agent": "nobody"}, "unknown_agent", "#/jobs/2/agent"),
        (WORK | {"agent": "frugal", "budget": {"max_turns": 9}}, "invalid_request", "#/jobs/3/budget/max_turns"),
        (WORK | {"metadata": {"a/b": 1}}, "invalid_request", "#/jobs/4/metadata/a~1b"),
        (keyed(""), "invalid_request", "#/jobs/5/idempotency_key"),
        (keyed("a b"), "invalid_request", "#/jobs/6/idempotency_key"),
        (WORK | {"idempotency_key": 7}, "invalid_request", "#/jobs/7/idempotency_key"),
        (WORK | {"x": 1}, "invalid_request", "#/jobs/8/x"),
        (7, "invalid_request", "#/jobs/9"),
        (None, "invalid_request", "#/jobs/10"),
        ([WORK], "invalid_request", "#/jobs/11"),
        (WORK | {"jobs": [WORK]}, "invalid_request", "#/jobs/12/jobs"),
    ]

    found = results(await send(http, WORK, *(job for job, _, _ in wrong), WORK))

    assert [one["status"] for one in found] == [202, *[422] * len(wrong), 202]
    for one, (_, code, pointer) in zip(found[1:-1], wrong, strict=True):
        assert one["error"]["code"] == code
        assert pointer in pointers(one["error"])
    assert await waiting(redis) == 2


async def test_together_one_that_is_wrong_keeps_all_out(http: httpx2.AsyncClient, redis: Redis) -> None:
    jobs = [WORK, {"input": "x"}, WORK | {"priority": "x"}, WORK]
    body = problem(await send(http, *jobs, all_or_nothing=True), 422, "invalid_request")
    assert pointers(body) == {"#/jobs/1/agent", "#/jobs/2/priority"}

    body = problem(await send(http, WORK, WORK | {"agent": "nobody"}, all_or_nothing=True), 422, "unknown_agent")
    assert pointers(body) == {"#/jobs/1/agent"}
    assert await waiting(redis) == 0

    assert statuses(await send(http, WORK, WORK, all_or_nothing=True)) == [202, 202]


ENVELOPES: dict[str, tuple[Any, str]] = {
    "no jobs": ({}, "#/jobs"),
    "an empty list": ({"jobs": []}, "#/jobs"),
    "an object": ({"jobs": {"0": WORK}}, "#/jobs"),
    "null": ({"jobs": None}, "#/jobs"),
    "an unknown field": ({"jobs": [WORK], "atomic": True}, "#/atomic"),
    "a text for a truth": ({"jobs": [WORK], "all_or_nothing": "true"}, "#/all_or_nothing"),
    "a number for a truth": ({"jobs": [WORK], "all_or_nothing": 1}, "#/all_or_nothing"),
    "a list": ([WORK], "#"),
    "a single job": (WORK, "#/agent"),
}


@pytest.mark.parametrize(("body", "pointer"), ENVELOPES.values(), ids=ENVELOPES.keys())
async def test_a_body_that_is_no_batch_is_refused(
    http: httpx2.AsyncClient, redis: Redis, body: Any, pointer: str
) -> None:
    assert pointer in pointers(problem(await http.post(BATCH, json=body), 422, "invalid_request"))
    assert await waiting(redis) == 0


async def test_what_no_job_can_keep_is_named_from_the_root(http: httpx2.AsyncClient, redis: Redis) -> None:
    answer = await send(http, WORK, WORK | {"input": "a\0b"})
    assert pointers(problem(answer, 422)) == {"#/jobs/1/input"}
    raw = json.dumps({"jobs": [WORK, WORK]}).replace('"What', '"\\ud800What')
    problem(await http.post(BATCH, content=raw, headers=JSON), 400, "bad_json")
    assert await waiting(redis) == 0


def nested(levels: int) -> dict[str, Any]:
    """A job whose deepest value is that many levels down, when it comes alone."""
    inner: Any = 0
    for _ in range(levels - 6):
        inner = [inner]
    return WORK | {"input": [{"role": "user", "content": [{"type": "x", "x": inner}]}]}


async def test_a_job_may_be_as_deep_as_alone(http: httpx2.AsyncClient) -> None:
    assert statuses(await send(http, nested(32))) == [202]
    found = pointers(problem(await send(http, WORK, nested(33)), 422))
    assert next(iter(found)).startswith("#/jobs/1/input/0/content/0/x/0")


async def test_a_batch_may_be_larger_than_a_job(http: httpx2.AsyncClient, redis: Redis) -> None:
    large = WORK | {"input": "x" * 1_000_000}
    assert statuses(await send(http, *[large] * 8)) == [202] * 8
    too_large = WORK | {"input": "x" * 1_048_576}
    found = results(await send(http, WORK, too_large))
    assert [one["status"] for one in found] == [202, 413]
    assert found[1]["error"]["code"] == "body_too_large"
    assert str(LIMIT) in problem(await send(http, *[large] * 9), 413, "body_too_large")["detail"]
    assert await waiting(redis) == 9


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=latin-1"])
async def test_another_content_type_is_415(http: httpx2.AsyncClient, kind: str) -> None:
    answer = await http.post(BATCH, content=json.dumps({"jobs": [WORK]}), headers={"Content-Type": kind})
    problem(answer, 415, "unsupported_media_type")


async def test_a_key_of_the_whole_request_is_refused(http: httpx2.AsyncClient, redis: Redis) -> None:
    answer = await http.post(BATCH, json={"jobs": [WORK]}, headers={"Idempotency-Key": "k"})
    assert pointers(problem(answer, 422)) == {"Idempotency-Key"}
    assert await waiting(redis) == 0


async def test_a_batch_sent_again_makes_nothing_new(http: httpx2.AsyncClient, redis: Redis) -> None:
    batch = [keyed("a"), keyed("b"), keyed("a"), keyed("b", input="Another")]
    first, again = [results(await send(http, *batch)) for _ in range(2)]

    assert [one["status"] for one in first] == [one["status"] for one in again] == [202, 202, 202, 422]
    assert [one["idempotency_replayed"] for one in first] == [False, False, True, False]
    assert [one["idempotency_replayed"] for one in again] == [True, True, True, False]
    assert first[3]["error"]["code"] == "idempotency_conflict"
    assert pointers(first[3]["error"]) == {"#/jobs/3/idempotency_key"}
    assert [one["job"]["id"] for one in again[:3]] == [one["job"]["id"] for one in first[:3]]
    assert first[0]["job"]["id"] == first[2]["job"]["id"]
    assert await waiting(redis) == 2


async def test_alone_and_in_a_batch_a_key_is_the_same(http: httpx2.AsyncClient, redis: Redis) -> None:
    alone = await http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": "a"})
    same, other = results(await send(http, keyed("a"), keyed("a", priority="low")))
    assert (same["job"]["id"], same["idempotency_replayed"]) == (alone.json()["id"], True)
    assert other["error"]["code"] == "idempotency_conflict"
    body = problem(await send(http, WORK, keyed("a", priority="low"), all_or_nothing=True), 422, "idempotency_conflict")
    assert pointers(body) == {"#/jobs/1/idempotency_key"}
    assert await waiting(redis) == 1


async def test_fifty_racing_submits_of_one_key_alone_and_in_batches_make_one_job(
    http: httpx2.AsyncClient, redis: Redis
) -> None:
    single = (http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": "k"}) for _ in range(20))
    batches = (send(http, keyed("k"), keyed("k"), all_or_nothing=i % 2 == 0) for i in range(15))
    answers = await asyncio.gather(*single, *batches)

    made = {answer.json()["id"] for answer in answers[:20]}
    made |= {one["job"]["id"] for answer in answers[20:] for one in results(answer)}
    assert len(made) == 1
    assert await waiting(redis) == 1
    assert len(await keys_like(redis, f"{keys.ARQ_JOB}*")) == 1


async def test_a_repeat_for_a_job_that_is_gone_is_410_beside_others(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn
) -> None:
    (one,) = results(await send(http, keyed("a")))
    await worker.run()
    await redis.delete(keys.job(one["job"]["id"]))
    for together in (False, True):
        assert statuses(await send(http, WORK, keyed("a"), all_or_nothing=together)) == [202, 410]
