"""Idempotency-Key: however often a submit is repeated, it makes one job."""

import asyncio
import json

import httpx2
import pytest

from shared import keys
from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, job_of, keys_like, problem, settled, waiting

KEYED = {"Idempotency-Key": "order-17"}


async def test_a_repeated_submit_answers_the_same_job(http: httpx2.AsyncClient, redis: Redis) -> None:
    first = await http.post("/v1/jobs", json=WORK, headers=KEYED)
    again = await http.post("/v1/jobs", json=WORK, headers=KEYED)
    assert settled(job_of(again, 202)) == settled(job_of(first, 202))
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert await waiting(redis) == 1


async def test_the_order_of_fields_and_blanks_make_no_other_body(http: httpx2.AsyncClient) -> None:
    texts = (json.dumps(WORK), json.dumps(dict(reversed(WORK.items())), indent=2))
    headers = KEYED | {"Content-Type": "application/json; charset=utf-8"}
    answers = [await http.post("/v1/jobs", content=text, headers=headers) for text in texts]
    assert answers[0].json()["id"] == answers[1].json()["id"]


@pytest.mark.parametrize("change", [{"input": "Another"}, {"priority": "standard"}, {"metadata": {"a": "b"}}])
async def test_the_same_key_with_another_body_is_refused(
    http: httpx2.AsyncClient, redis: Redis, change: dict[str, object]
) -> None:
    job_id = (await http.post("/v1/jobs", json=WORK, headers=KEYED)).json()["id"]
    body = problem(await http.post("/v1/jobs", json=WORK | change, headers=KEYED), 422, "idempotency_conflict")
    assert job_id in body["detail"]
    assert body["errors"][0]["pointer"] == "Idempotency-Key"
    assert await waiting(redis) == 1


async def test_a_repeat_shows_the_job_as_it_is_now(http: httpx2.AsyncClient, worker: StandIn) -> None:
    first = await http.post("/v1/jobs", json=WORK, headers=KEYED)
    await worker.run("Done since.")
    again = job_of(await http.post("/v1/jobs", json=WORK, headers=KEYED), 202)
    assert (again["id"], again["status"], again["output"]) == (first.json()["id"], "succeeded", "Done since.")


async def test_a_repeat_that_waits_for_an_ended_job_answers_200(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await http.post("/v1/jobs", json=WORK, headers=KEYED)
    await worker.run()
    again = await http.post("/v1/jobs", json=WORK, headers=KEYED | {"Prefer": "wait=30"})
    assert job_of(again, 200)["status"] == "succeeded"
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_repeat_for_a_job_that_was_removed_is_410(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn
) -> None:
    job_id = (await http.post("/v1/jobs", json=WORK, headers=KEYED)).json()["id"]
    await worker.run()
    await redis.delete(keys.job(job_id))  # its retention has ended, the key's day has not
    answer = await http.post("/v1/jobs", json=WORK, headers=KEYED)
    assert job_id in problem(answer, 410, "gone")["detail"]
    assert await waiting(redis) == 0


async def test_fifty_racing_submits_with_one_key_make_one_job(http: httpx2.AsyncClient, redis: Redis) -> None:
    answers = await asyncio.gather(*(http.post("/v1/jobs", json=WORK, headers=KEYED) for _ in range(50)))
    assert len({job_of(answer, 202)["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await waiting(redis) == 1
    assert len(await keys_like(redis, f"{keys.JOB}*")) == 1
    assert len(await keys_like(redis, f"{keys.ARQ_JOB}*")) == 1


async def test_fifty_racing_keys_make_fifty_jobs(http: httpx2.AsyncClient, redis: Redis) -> None:
    racing = (http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": f"k{i}"}) for i in range(50))
    answers = await asyncio.gather(*racing)
    assert len({job_of(answer, 202)["id"] for answer in answers}) == 50
    assert await waiting(redis) == 50


async def test_a_key_is_kept_a_day_at_least_after_the_job_has_ended(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn
) -> None:
    await http.post("/v1/jobs", json=WORK, headers=KEYED)
    await worker.run()  # keeps jobs for an hour
    (key,) = await keys_like(redis, "sluice:idempotency:*")
    assert 86_390 <= await redis.ttl(key) <= 86_400


@pytest.mark.parametrize("key", ["a", "A-1_b.c:d", "x" * 255])
async def test_good_keys_are_taken(http: httpx2.AsyncClient, key: str) -> None:
    job_of(await http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": key}), 202)


@pytest.mark.parametrize(
    "key",
    [b"", b"x" * 256, b"a b", b"a/b", b"a,b", b'"quoted"', b"a*", b"\xff\xfe", "ключ".encode(), b"\xd9\xa1"],
)
async def test_bad_keys_are_refused_by_name(http: httpx2.AsyncClient, redis: Redis, key: bytes) -> None:
    answer = await http.post("/v1/jobs", json=WORK, headers=[(b"Idempotency-Key", key)])
    assert problem(answer, 422, "invalid_request")["errors"][0]["pointer"] == "Idempotency-Key"
    assert await waiting(redis) == 0
