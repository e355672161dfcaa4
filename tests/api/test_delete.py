"""DELETE /v1/jobs/{id}: nothing of a finished job is left, and nothing else is touched."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from shared import keys
from shared.action import ActionKind
from shared.checkpoints import Checkpoints
from shared.delivery import DeliveryState, Try
from shared.outbox import Outbox, Room, Settlement
from shared.queue import Queue
from shared.redis_client import Redis
from shared.scratchpad import Scratchpad
from shared.states import Event
from tests.api.talk import WORK, StandIn, job_of, keys_like, problem
from tests.api.test_turns import asks, result, running
from tests.shared.queueing import asked
from worker.webhooks.message import body

SECRET = "the-secret-of-this-job"  # in the input, a tool's result, a note and the output
KEYED = {"Idempotency-Key": "order-17"}
TOLD = {
    "metadata": {"order": SECRET},
    "session_id": SECRET,
    "webhook": {
        "url": "https://hooks.example/in",
        "events": ["job.started", "job.requires_action", "job.succeeded"],
    },
}
ONE = Room(most=1, per_well=1, per_other=1, others=1)


async def values(redis: Any) -> list[str]:
    """Every text in the store, whatever holds it."""
    found = []
    for key in await keys_like(redis, "*"):
        kind = await redis.type(key)
        if kind == "string":
            found.append(await redis.get(key))
        elif kind == "list":
            found += await redis.lrange(key, 0, -1)
        elif kind == "hash":
            found += [text for pair in (await redis.hgetall(key)).items() for text in pair]
        elif kind == "stream":
            found += [text for _, fields in await redis.xrange(key) for pair in fields.items() for text in pair]
        elif kind in ("set", "zset"):
            found += await (redis.smembers(key) if kind == "set" else redis.zrange(key, 0, -1))
    return found


async def write_down(redis: Redis, job_id: str) -> None:
    for index, record in enumerate((asks("a"), result("a", SECRET))):
        await Checkpoints(redis).append("stand-in", job_id, index, record)
    notes = Scratchpad(redis, tenant="default", session_id=None, job_id=job_id)
    await notes.write("note", SECRET)


async def test_nothing_of_the_job_is_left_anywhere(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    other = await running(worker, redis, asks("a"))
    job_id = job_of(await http.post("/v1/jobs", json=WORK | {"input": SECRET}, headers=KEYED), 202)["id"]
    await worker.take()
    await write_down(redis, job_id)
    await worker.finish(job_id, SECRET)
    assert sum(SECRET in text for text in await values(redis)) >= 4

    answer = await http.delete(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    texts = await values(redis)
    assert not [text for text in texts if SECRET in text]
    assert await keys_like(redis, f"*{job_id}*") == []
    left = {text for text in texts if job_id in text}
    assert left == {job_id}, "the bare id: what its Idempotency-Key has made, and what its worker has claimed last"
    problem(await http.get(f"/v1/jobs/{job_id}"), 404, "not_found")
    problem(await http.get(f"/v1/jobs/{job_id}/turns"), 404, "not_found")
    problem(await http.post(f"/v1/jobs/{job_id}/cancel"), 404, "not_found")
    problem(await http.delete(f"/v1/jobs/{job_id}"), 404, "not_found")
    assert [job["id"] for job in (await http.get("/v1/jobs")).json()["data"]] == [other]
    assert len((await http.get(f"/v1/jobs/{other}/turns")).json()["data"]) == 1


async def told_at_every_turn(http: httpx2.AsyncClient, worker: StandIn) -> str:
    """A job that was started, has asked a person, and has succeeded."""
    job_id = job_of(await http.post("/v1/jobs", json=WORK | TOLD), 202)["id"]
    (job,) = await worker.take()
    question = asked(job_id, ActionKind.APPROVAL, tool=SECRET)
    await worker.ask(job, question)
    answer = await http.post(f"/v1/jobs/{job_id}/actions/{question.id}", json={"decision": "approve"})
    assert answer.status_code == 200, answer.text
    await worker.run(SECRET)
    return str(job_id)


async def test_its_words_are_in_no_delivery_any_more_sent_or_not(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await told_at_every_turn(http, worker)
    outbox = Outbox(redis, retention_ms=3_600_000)
    (sent,) = (await outbox.claim(ONE)).parcels
    made = Try(1_767_225_600_123, 200, 42, answer=f'{{"echo": "{SECRET}"}}')
    await outbox.settle(sent.delivery, Settlement(DeliveryState.DELIVERED), made)
    before = (await http.get(f"/v1/webhook_deliveries?job_id={job_id}")).json()["data"]
    assert SECRET in str(before)

    await http.delete(f"/v1/jobs/{job_id}")

    assert not [text for text in await values(redis) if SECRET in text]
    assert await keys_like(redis, f"*{SECRET}*") == []
    after = (await http.get(f"/v1/webhook_deliveries?job_id={job_id}")).json()["data"]
    assert [one["status"] for one in after] == ["pending", "pending", "delivered"]
    before[-1]["attempts"][0]["answer"] = None
    assert after == before, "it is still known what was told when, and where"


async def test_what_is_still_to_be_sent_of_it_is_sent_with_what_is_left(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await told_at_every_turn(http, worker)
    usage = (await http.get(f"/v1/jobs/{job_id}")).json()["usage"]
    await redis.delete(keys.tenant_deliveries("default"))  # type: ignore[attr-defined]  # too many came after them
    await http.delete(f"/v1/jobs/{job_id}")

    outbox = Outbox(redis, retention_ms=3_600_000)
    parcels = [parcel for _ in range(3) for parcel in (await outbox.claim(ONE)).parcels]
    said = [json.loads(body(parcel)) for parcel in parcels]

    assert [one["type"] for one in said] == ["job.started", "job.requires_action", "job.succeeded"]
    left = {"id": job_id, "object": "job", "agent": "assistant", "session_id": None, "metadata": {}, "usage": usage}
    for one in said:
        data = one["data"]
        assert data == left | {"status": data["status"], "revision": data["revision"]}
        assert data["status"] in ("running", "requires_action", "succeeded")


async def test_deliveries_of_other_jobs_keep_their_words(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    other, job_id = [await told_at_every_turn(http, worker) for _ in range(2)]
    await http.delete(f"/v1/jobs/{job_id}")

    parcels = [parcel for _ in range(6) for parcel in (await Outbox(redis, retention_ms=60_000).claim(ONE)).parcels]
    kept = [json.loads(body(parcel))["data"] for parcel in parcels if SECRET in str(parcel.delivery)]

    assert [(one["id"], one["metadata"], one["session_id"]) for one in kept] == [(other, TOLD["metadata"], SECRET)] * 3


@pytest.mark.parametrize("headers", [KEYED, KEYED | {"Prefer": "wait=5"}])
@pytest.mark.parametrize("body", [WORK, WORK | {"input": "Another"}])
async def test_its_key_makes_no_other_job(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis, headers: dict[str, str], body: dict[str, str]
) -> None:
    """Of the first body nothing is known any more, not even a digest, by which a guess could be proved."""
    job_id = job_of(await http.post("/v1/jobs", json=WORK, headers=KEYED), 202)["id"]
    await worker.run()
    await http.delete(f"/v1/jobs/{job_id}")

    assert job_id in problem(await http.post("/v1/jobs", json=body, headers=headers), 410, "gone")["detail"]
    (key,) = await keys_like(redis, "sluice:idempotency:*")
    assert await redis.hgetall(key) == {"job_id": job_id}
    assert 86_000 < await redis.ttl(key) <= 86_400  # type: ignore[attr-defined]


@pytest.mark.parametrize("event", [Event.SUCCEED, Event.STOP_SHORT, Event.FAIL])
async def test_however_it_ended(http: httpx2.AsyncClient, worker: StandIn, event: Event) -> None:
    job_id = await worker.add()
    await worker.take()
    await worker.finish(job_id, event=event)
    assert (await http.delete(f"/v1/jobs/{job_id}")).status_code == 204


async def test_a_job_that_has_not_finished_is_409(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await worker.add()
    assert not problem(await http.delete(f"/v1/jobs/{job_id}"), 409, "not_finished")["retryable"]
    await worker.take()
    problem(await http.delete(f"/v1/jobs/{job_id}"), 409, "not_finished")
    assert (await http.post(f"/v1/jobs/{job_id}/cancel")).json()["status"] == "cancelling"
    problem(await http.delete(f"/v1/jobs/{job_id}"), 409, "not_finished")
    await worker.finish(job_id)
    assert (await http.delete(f"/v1/jobs/{job_id}")).status_code == 204


async def test_another_tenants_job_is_404_and_stays(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await worker.add(tenant="acme")
    await worker.run()
    problem(await http.delete(f"/v1/jobs/{job_id}"), 404, "not_found")
    assert await redis.hgetall(keys.job(job_id))


async def test_of_racing_deletes_one_has_done_it(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await worker.add()
    await worker.run()
    answers = await asyncio.gather(*(http.delete(f"/v1/jobs/{job_id}") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [204, *[404] * 9]


async def test_what_is_deleted_cannot_be_cancelled(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await worker.add()
    await worker.run()
    await http.delete(f"/v1/jobs/{job_id}")
    assert await Queue(redis, retention_ms=60_000).cancel(job_id) is None
    assert await keys_like(redis, f"*{job_id}*") == []
