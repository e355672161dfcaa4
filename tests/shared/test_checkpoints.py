"""Checkpoints: records are kept in order, once, by the worker that holds the job, and their cost with them."""

import asyncio
from dataclasses import replace

import pytest

from shared import ids, keys
from shared.checkpoints import Checkpoints
from shared.errors import LeaseLost
from shared.job import Job, JobSpec, WaitReason
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from shared.submission import Caps
from shared.turn import IntentRecord, ModelRecord, Record, ResultRecord, ServedAs
from shared.usage import Usage
from tests.shared.queueing import claim

SPEC = JobSpec(tenant="default", agent="assistant", input="hello", chain="default")
OWNER = "worker-a"
ANSWER = ModelRecord(
    turn=1,
    content=[{"type": "text", "text": 'Grüße, "Ada" \\ \N{SNOWMAN} \0'}],
    stop_reason="tool_use",
    usage=Usage(input_tokens=10, output_tokens=5, model_calls=1, turns=1, cost_nano=9_007_199_254_740_991),
    target="default",
    model="claude-sonnet-4-6",
    request_id="req_1",
    milliseconds=3,
)
INTENT = IntentRecord(1, "x")
RECEIPT = ResultRecord(1, "x", "clock", "noon", False, 1)


@pytest.fixture
def checkpoints(redis: Redis) -> Checkpoints:
    return Checkpoints(redis)


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


@pytest.fixture
async def job_id(queue: Queue) -> str:
    """A job that OWNER holds."""
    made = ids.new_job_id()
    await queue.submit(made, SPEC, caps=Caps(max_depth=10))
    await claim(queue, OWNER, 1)
    return made


async def read(redis: Redis, job_id: str) -> Job:
    return Job.from_hash(job_id, await redis.hgetall(keys.job(job_id)))


async def test_records_come_back_as_they_were_and_in_order(checkpoints: Checkpoints, job_id: str) -> None:
    written: list[Record] = [ANSWER, INTENT, RECEIPT]
    for index, record in enumerate(written):
        await checkpoints.append(OWNER, job_id, index, record)

    assert await checkpoints.load(job_id) == written


async def test_a_job_that_has_not_begun_has_an_empty_journal(checkpoints: Checkpoints, job_id: str) -> None:
    assert await checkpoints.load(job_id) == []


async def test_what_a_record_cost_is_added_to_the_job(redis: Redis, checkpoints: Checkpoints, job_id: str) -> None:
    for index, record in enumerate([ANSWER, INTENT, RECEIPT]):
        await checkpoints.append(OWNER, job_id, index, record)

    job = await read(redis, job_id)
    assert job.usage == ANSWER.usage + Usage(tool_calls=1)
    assert (job.served, job.served_as) == ("claude-sonnet-4-6", "first")


async def test_the_job_says_as_what_its_last_turn_was_served(
    redis: Redis, checkpoints: Checkpoints, job_id: str
) -> None:
    assert (await read(redis, job_id)).served_as is None
    await checkpoints.append(OWNER, job_id, 0, replace(ANSWER, served_as=ServedAs.FALLBACK))
    await checkpoints.append(OWNER, job_id, 1, INTENT)
    assert (await read(redis, job_id)).served_as == "fallback"


async def test_every_record_is_a_change_that_followers_hear_of(
    redis: Redis, checkpoints: Checkpoints, job_id: str
) -> None:
    before = (await read(redis, job_id)).revision
    async with redis.pubsub(ignore_subscribe_messages=True) as heard:
        await heard.subscribe(keys.CHANGES)
        await heard.get_message(timeout=5)
        await checkpoints.append(OWNER, job_id, 0, ANSWER)
        message = None
        async with asyncio.timeout(10):
            while message is None:
                message = await heard.get_message(timeout=1)

    assert message["data"] == f"{job_id} {before + 1} running"


async def test_a_repeated_append_is_written_and_counted_once(
    redis: Redis, checkpoints: Checkpoints, job_id: str
) -> None:
    for _ in range(3):
        await checkpoints.append(OWNER, job_id, 0, ANSWER)

    assert await checkpoints.load(job_id) == [ANSWER]
    assert (await read(redis, job_id)).usage == ANSWER.usage


@pytest.mark.parametrize("index", [0, 2, 7])
async def test_a_record_at_another_place_than_the_next_means_the_job_is_lost(
    checkpoints: Checkpoints, job_id: str, index: int
) -> None:
    await checkpoints.append(OWNER, job_id, 0, ANSWER)
    with pytest.raises(LeaseLost):
        await checkpoints.append(OWNER, job_id, index, RECEIPT)
    assert await checkpoints.load(job_id) == [ANSWER]


async def test_a_worker_without_the_lease_writes_nothing(redis: Redis, checkpoints: Checkpoints, job_id: str) -> None:
    before = await redis.hgetall(keys.job(job_id))
    with pytest.raises(LeaseLost, match=job_id):
        await checkpoints.append("worker-b", job_id, 0, ANSWER)

    assert await checkpoints.load(job_id) == []
    assert await redis.hgetall(keys.job(job_id)) == before


async def test_the_next_worker_goes_on_where_the_last_one_stopped(
    checkpoints: Checkpoints, queue: Queue, job_id: str
) -> None:
    await checkpoints.append(OWNER, job_id, 0, ANSWER)
    await queue.release(OWNER, job_id, WaitReason.CAPACITY)
    await claim(queue, "worker-b", 1)

    await checkpoints.append("worker-b", job_id, 1, RECEIPT)
    with pytest.raises(LeaseLost):
        await checkpoints.append(OWNER, job_id, 2, INTENT)

    assert await checkpoints.load(job_id) == [ANSWER, RECEIPT]


async def test_a_finished_job_takes_no_more_records(checkpoints: Checkpoints, queue: Queue, job_id: str) -> None:
    await checkpoints.append(OWNER, job_id, 0, ANSWER)
    await queue.finish(OWNER, job_id, Conclusion(Event.SUCCEED))
    with pytest.raises(LeaseLost):
        await checkpoints.append(OWNER, job_id, 1, RECEIPT)


async def test_two_workers_at_once_never_mix_their_journals(checkpoints: Checkpoints, job_id: str) -> None:
    async def write(owner: str) -> int:
        written = 0
        for index in range(20):
            try:
                await checkpoints.append(owner, job_id, index, ResultRecord(1, f"{owner}-{index}", "t", "", False, 1))
            except LeaseLost:
                break
            written += 1
        return written

    assert await asyncio.gather(write(OWNER), write("worker-b")) == [20, 0]
    assert len(await checkpoints.load(job_id)) == 20
