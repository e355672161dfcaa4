"""The executor where timing is everything: interruptions at the worst moments."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from shared import backoff, ids, keys
from shared.actions import Actions
from shared.catalogue import Catalogue
from shared.chain_scores import ChainScores
from shared.checkpoints import Checkpoints
from shared.errors import StoreUnavailable
from shared.gate import Gate
from shared.job import Job, JobSpec
from shared.queue import Queue
from shared.redis_client import Redis, reachable
from shared.states import Status
from shared.submission import Caps
from tests.shared.queueing import claim
from worker.asking import Desk
from worker.attempt import Interruption
from worker.chain_caller import ChainCaller
from worker.executor import Executor
from worker.mcp.toolbox import Toolbox
from worker.model_call import ModelCaller

OWNER = "worker"


def executor(redis: Redis, queue: Queue) -> Executor:
    return Executor(
        redis=redis,
        owner=OWNER,
        queue=queue,
        checkpoints=Checkpoints(redis),
        caller=ChainCaller(ModelCaller(Gate(redis, "worker"), 30), ChainScores(redis)),
        weights={},
        daily_nano={},
        agents={},
        chains={},
        catalogue=Catalogue(redis),
        desk=Desk(Actions(redis), 60_000, 60_000),
        toolbox=Toolbox({}),
        max_crashes=5,
    )


async def claimed(redis: Redis, queue: Queue) -> Job:
    spec = JobSpec(tenant="default", agent="assistant", input="hello", chain="default")
    await queue.submit(ids.new_job_id(), spec, caps=Caps(max_depth=10))
    (job,) = (await claim(queue, OWNER, 1)).jobs
    return job


@pytest.mark.parametrize("turns_of_the_loop", [0, 1, 2])
async def test_a_cancel_right_after_the_claim_ends_the_job(redis: Redis, turns_of_the_loop: int) -> None:
    queue = Queue(redis, retention_ms=60_000)
    working = executor(redis, queue)
    job = await claimed(redis, queue)
    await queue.cancel(job.id)

    task = working.start(job, 0)
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
    working.interrupt(job.id, Interruption.CANCEL)
    await asyncio.wait([task], timeout=10)

    assert task.done()
    assert working.running == {}
    assert await redis.hget(keys.job(job.id), "status") == Status.CANCELLED


async def test_a_drain_right_after_the_claim_gives_the_job_back(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000)
    working = executor(redis, queue)
    job = await claimed(redis, queue)

    task = working.start(job, 0)
    working.interrupt_all(Interruption.DRAIN)
    await asyncio.wait([task], timeout=10)

    assert await redis.hget(keys.job(job.id), "status") == Status.QUEUED
    assert await redis.hlen(keys.LEASES) == 0


async def test_a_job_of_an_agent_that_nobody_runs_fails(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000)
    working = executor(redis, queue)
    job = await claimed(redis, queue)

    await working.start(job, 0)

    assert await redis.hget(keys.job(job.id), "status") == Status.FAILED


@pytest.mark.parametrize("reason", ["NOREPLICAS Not enough good replicas to write.", "MISCONF Errors writing to disk."])
async def test_a_redis_that_cannot_do_its_work_is_weather(reason: str) -> None:
    with pytest.raises(StoreUnavailable):
        async with reachable():
            raise ResponseError(reason)
    with pytest.raises(ResponseError):
        async with reachable():
            raise ResponseError("ERR wrong number of arguments")


def test_a_wait_never_outgrows_its_cap() -> None:
    assert backoff.exponential(5000, base=5, cap=60) == 60
    assert backoff.exponential(1, base=5, cap=60) == 5
    assert 0 <= backoff.full_jitter(10**6, base=5, cap=60) <= 60
