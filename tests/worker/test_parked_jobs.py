"""The whole way of parked jobs: an outage parks them, one tries, and its success brings the others back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import backoff, keys
from shared.actions import Actions
from shared.catalogue import Catalogue
from shared.chain_scores import ChainScores
from shared.checkpoints import Checkpoints
from shared.gate import Gate
from shared.job import Job, WaitReason
from shared.pool import Asker, Call, Spent, Used
from shared.queue import Queue
from shared.states import Status
from tests.shared.gating import Gates
from tests.shared.queueing import claim, submitted, sweep
from tests.shared.test_gate import hearing
from tests.waiting import until
from tests.worker.test_model_call import ANSWER, Scripted, Step, target
from worker.agents import Agent
from worker.asking import Desk
from worker.chain import Chain
from worker.chain_caller import ChainCaller
from worker.executor import Executor
from worker.mcp.toolbox import Toolbox
from worker.model_call import ModelCaller
from worker.waker import Waker

OWNER = "worker"
JOBS = 6
A_CAP_ON_SPENDING = Spent("busy", Used())


@pytest.fixture
def queue(redis: Any) -> Queue:
    return Queue(redis, retention_ms=60_000)


@pytest.fixture
async def gate(redis: Any, queue: Queue, gates: Gates) -> AsyncIterator[Gate]:
    """Its time stands still but for what `gates` says."""
    async with hearing(redis, Gate(redis, OWNER, Waker(queue).answered)) as made:
        yield made
        await made.close()


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those behind the first are all due a minute after it."""
    monkeypatch.setattr(backoff, "full_jitter", lambda attempt, *, base, cap: cap)


def executor(redis: Any, queue: Queue, gate: Gate, *steps: Step) -> Executor:
    return Executor(
        redis=redis,
        owner=OWNER,
        queue=queue,
        checkpoints=Checkpoints(redis),
        caller=ChainCaller(ModelCaller(gate, 0.05), ChainScores(redis)),
        weights={},
        daily_nano={},
        agents={"assistant": Agent(name="assistant", system="")},
        chains={"default": Chain("default", (target(Scripted(*steps)),))},
        catalogue=Catalogue(redis),
        desk=Desk(Actions(redis), 60_000, 60_000),
        toolbox=Toolbox({}),
        max_crashes=5,
    )


async def run_what_is_due(redis: Any, queue: Queue, working: Executor) -> list[str]:
    """The jobs of one claim, once they have ended or are parked again."""
    await sweep(redis)
    claimed = await claim(queue, OWNER, JOBS)
    await asyncio.gather(*(working.start(job, claimed.now_ms) for job in claimed.jobs))
    return [job.id for job in claimed.jobs]


async def record(redis: Any, job_id: str) -> Job:
    return Job.from_hash(job_id, await redis.hgetall(keys.job(job_id)))


async def outage(gate: Gate, gates: Gates) -> None:
    """The breaker has opened again and again, now for half a minute."""
    where = target(Scripted()).pool
    for _ in range(6):
        await gates.set_clock(gates.now + 60)
        await gate.settle(await gate.reserve(where, Call(Asker("other"), 100, 10)), A_CAP_ON_SPENDING)


async def test_one_tries_and_its_success_brings_the_others_back(
    redis: Any, queue: Queue, gate: Gate, gates: Gates
) -> None:
    await outage(gate, gates)
    working = executor(redis, queue, gate, *[ANSWER] * JOBS)
    jobs = [await submitted(queue) for _ in range(JOBS)]
    assert await run_what_is_due(redis, queue, working) == jobs
    parked = [await record(redis, job_id) for job_id in jobs]
    assert {(job.status, job.wait_reason) for job in parked} == {(Status.QUEUED, WaitReason.PROVIDER_OUTAGE)}
    first, second, *_ = sorted(parked, key=lambda job: job.next_attempt_ms or 0)
    assert (second.next_attempt_ms or 0) - (first.next_attempt_ms or 0) > 50_000
    await gates.set_clock(gates.now + 60)
    await redis.zadd(keys.RETURNING, {first.id: 1})

    rounds: list[list[str]] = []

    async def all_done() -> bool:
        if done := await run_what_is_due(redis, queue, working):
            rounds.append(done)
        return sum(map(len, rounds)) == JOBS

    await until(all_done)
    assert rounds[0] == [first.id]
    others = [job_id for job_id in jobs if job_id not in rounds[0]]
    assert [job_id for some in rounds[1:] for job_id in some] == others, "in their order, long before their time"
    for job_id in jobs:
        ended = await record(redis, job_id)
        assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 1)
