"""arq's own tools tell the truth about our jobs, and nothing in Redis is a pickle."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job, JobStatus, SerializationError
from redis.asyncio import ConnectionPool

from local.redis_server import RedisServer
from shared import ids, keys
from shared.job import IncompleteReason, JobError, JobSpec, Priority, WaitReason
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from shared.submission import Caps
from tests.shared.queueing import claim, die
from tests.waiting import until

OWNER = "worker-a"


@pytest.fixture
async def arq(redis: Redis, redis_server: RedisServer) -> AsyncIterator[ArqRedis]:
    pool = ConnectionPool.from_url(redis_server.url)
    client = ArqRedis(pool, job_deserializer=json.loads, job_serializer=_json_bytes)
    yield client
    await client.aclose(close_connection_pool=True)


def _json_bytes(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def submit(queue: Queue, **fields: Any) -> str:
    job_id = ids.new_job_id()
    spec = JobSpec(**{"tenant": "default", "agent": "assistant", "input": "hello", "chain": "default", **fields})
    await queue.submit(job_id, spec, caps=Caps(max_depth=100))
    return job_id


async def claimed(queue: Queue) -> str:
    job_id = await submit(queue)
    await claim(queue, OWNER, 1)
    return job_id


def look(arq: ArqRedis, job_id: str) -> Job:
    return Job(job_id, arq, _deserializer=json.loads)


def recent(moment: datetime) -> bool:
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


@pytest.mark.parametrize("priority", list(Priority))
async def test_a_waiting_job_is_queued(arq: ArqRedis, queue: Queue, priority: Priority) -> None:
    job_id = await submit(queue, priority=priority)
    job = look(arq, job_id)

    async def is_queued() -> bool:
        return await job.status() == JobStatus.queued

    await until(is_queued)  # a low job is due now, and now may be a millisecond ahead of this look
    info = await job.info()
    assert info is not None
    assert (info.function, info.args, info.kwargs) == (keys.JOB_FUNCTION, [job_id], {})
    assert recent(info.enqueue_time)
    assert info.score is not None
    assert await job.result_info() is None


async def test_arq_lists_what_is_queued(arq: ArqRedis, queue: Queue) -> None:
    made = [await submit(queue) for _ in range(3)]
    assert {one.job_id for one in await arq.queued_jobs()} == set(made)


async def test_a_running_job_is_in_progress(arq: ArqRedis, queue: Queue) -> None:
    job = look(arq, await claimed(queue))
    assert await job.status() == JobStatus.in_progress
    info = await job.info()
    assert info is not None
    assert info.function == keys.JOB_FUNCTION
    assert await job.result_info() is None


async def test_a_parked_job_is_deferred_and_one_given_back_is_queued(arq: ArqRedis, queue: Queue) -> None:
    parked, back = await claimed(queue), await claimed(queue)
    await queue.release(OWNER, parked, WaitReason.PROVIDER_OUTAGE, delay_ms=50_000)
    await queue.release(OWNER, back, WaitReason.CAPACITY)

    assert await look(arq, parked).status() == JobStatus.deferred
    assert await look(arq, back).status() == JobStatus.queued


async def test_a_job_whose_worker_died_is_queued_again(arq: ArqRedis, redis: Redis, queue: Queue) -> None:
    job_id = await claimed(queue)
    await die(redis, OWNER)

    assert await look(arq, job_id).status() == JobStatus.queued


async def test_with_nobody_of_ours_left_a_job_becomes_due_by_itself(arq: ArqRedis, redis: Redis, queue: Queue) -> None:
    """Its score is a lease, too, if a long one, and so is the mark that it is in progress."""
    job_id = await claimed(queue)
    score = await redis.zscore(keys.ARQ_QUEUE, job_id)  # type: ignore[attr-defined]
    created_ms = int(await redis.hget(keys.job(job_id), "created_ms"))  # type: ignore[attr-defined]

    assert created_ms + 600_000 <= score <= created_ms + 700_000
    assert 590_000 < await redis.pttl(keys.ARQ_IN_PROGRESS + job_id) <= 600_000  # type: ignore[attr-defined]


ENDS = [
    (Conclusion(Event.SUCCEED, output="done"), "succeeded"),
    (Conclusion(Event.STOP_SHORT, output="some", incomplete=IncompleteReason.MAX_TURNS), "incomplete"),
    (Conclusion(Event.FAIL, error=JobError("provider", "not_found_error", "no such model", False)), "failed"),
]


@pytest.mark.parametrize(("conclusion", "status"), ENDS)
async def test_a_finished_job_is_complete(arq: ArqRedis, queue: Queue, conclusion: Conclusion, status: str) -> None:
    job_id = await claimed(queue)
    await queue.finish(OWNER, job_id, conclusion)
    job = look(arq, job_id)

    assert await job.status() == JobStatus.complete
    info = await job.result_info()
    assert info is not None
    assert (info.success, info.result) == (status == "succeeded", status)
    assert (info.function, info.args, info.kwargs, info.job_id) == (keys.JOB_FUNCTION, [job_id], {}, job_id)
    assert info.queue_name == keys.ARQ_QUEUE
    assert info.enqueue_time <= info.finish_time
    assert info.start_time <= info.finish_time
    assert all(map(recent, (info.enqueue_time, info.start_time, info.finish_time)))
    whole = await job.info()
    assert whole is not None
    assert whole.score is None, "it is in no queue any more"


async def test_waiting_for_a_result_as_arq_does_ends_as_the_job_did(arq: ArqRedis, queue: Queue) -> None:
    good, bad = await claimed(queue), await claimed(queue)
    await queue.finish(OWNER, good, ENDS[0][0])
    await queue.finish(OWNER, bad, ENDS[2][0])

    assert await look(arq, good).result(timeout=5) == "succeeded"
    with pytest.raises(SerializationError, match="failed"):
        await look(arq, bad).result(timeout=5)


async def test_a_cancelled_job_is_complete_and_no_success(arq: ArqRedis, queue: Queue) -> None:
    waiting, running = await submit(queue), ""
    await queue.cancel(waiting)
    running = await claimed(queue)
    await queue.cancel(running)
    assert await look(arq, running).status() == JobStatus.in_progress
    await queue.finish(OWNER, running, Conclusion(Event.CONFIRM_CANCEL))

    for job_id in (waiting, running):
        info = await look(arq, job_id).result_info()
        assert info is not None
        assert (info.success, info.result) == (False, "cancelled")


async def test_arq_knows_nothing_of_a_job_there_is_not(arq: ArqRedis) -> None:
    job = look(arq, ids.new_job_id())
    assert await job.status() == JobStatus.not_found
    assert await job.info() is None


async def test_all_results_can_be_listed(arq: ArqRedis, queue: Queue) -> None:
    for conclusion, _ in ENDS:
        await queue.finish(OWNER, await claimed(queue), conclusion)
    assert {one.result for one in await arq.all_job_results()} == {"succeeded", "incomplete", "failed"}


async def test_a_job_of_stock_arq_is_left_to_a_stock_worker(arq: ArqRedis, queue: Queue) -> None:
    stock = await arq.enqueue_job("somebody_elses", 1, _job_id="stock-1")
    assert stock is not None
    ours = await submit(queue)

    taken = await claim(queue, OWNER, 5)

    assert [job.id for job in taken.jobs] == [ours]
    info = await stock.info()
    assert info is not None
    assert info.function == "somebody_elses"


async def test_nothing_in_redis_is_a_pickle(arq: ArqRedis, redis: Redis, queue: Queue) -> None:
    await claimed(queue)
    for conclusion, _ in ENDS:
        await queue.finish(OWNER, await claimed(queue), conclusion)
    await submit(queue)

    seen = set()
    async for key in redis.scan_iter():  # type: ignore[attr-defined]
        if key.startswith((keys.ALIVE, keys.PACE)) or await redis.type(key) != "string":  # type: ignore[attr-defined]
            continue
        value = await arq.get(key)
        assert isinstance(value, bytes)
        if key.startswith((keys.ARQ_JOB, keys.ARQ_RESULT)):
            assert isinstance(json.loads(value), dict)
        else:
            assert (key.startswith(keys.ARQ_IN_PROGRESS), value) == (True, OWNER.encode())
        seen.add(key.rsplit(":", 1)[0] + ":")
    assert seen == {keys.ARQ_JOB, keys.ARQ_RESULT, keys.ARQ_IN_PROGRESS}
