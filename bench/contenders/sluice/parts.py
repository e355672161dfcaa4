"""All that this contender knows of the project's insides: how a job is written, and what a worker is made of."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any

from bench.common import job_log
from bench.common.submission import Item
from shared import ids
from shared.errors import LeaseLost
from shared.job import Job, JobSpec, WaitReason
from shared.queue import MOST_AT_ONCE, Conclusion, Queue
from shared.redis_client import Redis, close, connect, ping, until_reachable
from shared.retention import SWEEP_SECONDS, Janitor
from shared.sections import QueueSettings, WorkerSettings
from shared.states import Event
from shared.submission import Accepted, Caps, Submission
from worker.arq_worker import LeaseWorker
from worker.attempt import Interruption
from worker.background import every
from worker.lease_keeper import LeaseKeeper
from worker.running import Running

_DEEP_ENOUGH = Caps(max_depth=1_000_000)
_QUEUE = QueueSettings()
_WORKER = WorkerSettings()
_RETENTION_MS = _QUEUE.retention_seconds * 1000


class Producer:
    """Submits as the api does, in one script call."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._queue = _queue(self._redis)

    async def submit(self, *item: Any) -> None:
        await self._submit([item])

    async def submit_many(self, items: Sequence[Item]) -> None:
        for first in range(0, len(items), MOST_AT_ONCE):
            await self._submit(items[first : first + MOST_AT_ONCE])

    async def _submit(self, items: Sequence[Item]) -> None:
        jobs = [Submission(ids.new_job_id(), _spec(*item)) for item in items]
        for answer in await self._queue.submit_many(jobs, caps=_DEEP_ENOUGH):
            if not isinstance(answer, Accepted):
                raise RuntimeError(f"not accepted: {answer}")

    async def close(self) -> None:
        await close(self._redis)


def _spec(job: str, submitted: int, seconds: float, input: str) -> JobSpec:
    """What the body needs travels in the metadata, so that the input has the size that was asked for."""
    told = {"job": job, "submitted": str(submitted), "seconds": str(seconds)}
    return JobSpec(tenant="bench", agent="bench", input=input, chain="default", metadata=told)


class StandIn:
    """In the place of `worker.executor.Executor`: runs the body that all contenders run, and finishes the job."""

    def __init__(self, queue: Queue, owner: str) -> None:
        self._queue = queue
        self._owner = owner
        self.draining = asyncio.Event()
        self.running: dict[str, Running] = {}

    def start(self, job: Job, now_ms: int) -> "asyncio.Task[None]":
        running = Running(job)
        self.running[job.id] = running
        task = asyncio.create_task(self._run(running))
        task.add_done_callback(lambda _: self.running.pop(job.id, None))
        return task

    def interrupt(self, job_id: str, why: Interruption) -> None:
        if running := self.running.get(job_id):
            running.interrupt(why)

    def interrupt_all(self, why: Interruption) -> None:
        for running in list(self.running.values()):
            running.interrupt(why)

    async def _run(self, running: Running) -> None:
        try:
            running.begin()
            conclusion = await _body(running.job)
        except asyncio.CancelledError:
            await self._give_back(running)
        else:
            running.conclude()
            await until_reachable(lambda: self._queue.finish(self._owner, running.job.id, conclusion))

    async def _give_back(self, running: Running) -> None:
        """As the executor does it for a drain; a job that is lost is somebody else's already."""
        task = asyncio.current_task()
        if running.interruption != Interruption.DRAIN or task is None:
            raise LeaseLost(running.job.id)
        task.uncancel()
        running.conclude()
        await until_reachable(lambda: self._queue.release(self._owner, running.job.id, WaitReason.CAPACITY))


class Parts:
    """A worker process, as `worker.parts.Parts` makes it. 0 slots are as many as are shipped."""

    def __init__(self, url: str, *, slots: int, profile: str) -> None:
        self.redis = connect(url)
        lease_seconds = 3 if profile == "recover" else _QUEUE.lease_seconds
        owner, slots = ids.new_worker_id(), slots or _WORKER.max_in_flight
        queue = _queue(self.redis)
        self.executor = StandIn(queue, owner)
        self.keeper = LeaseKeeper(
            url,
            owner=owner,
            slots=slots,
            lease_ms=int(lease_seconds * 1000),
            running=self.executor.running,
            retention_ms=_RETENTION_MS,
            longest_block=_WORKER.max_block_seconds,
        )
        self.worker = LeaseWorker(
            redis=self.redis,
            queue=queue,
            executor=self.executor,
            owner=owner,
            slots=slots,
            on_strangers=_leave_alone,
            on_anew=self.keeper.look_through_soon,
        )
        self._janitor = Janitor(self.redis)
        self._drain_seconds = 0 if profile == "grace" else _WORKER.drain_seconds

    def start(self) -> Iterator[Coroutine[None, None, None]]:
        """What `worker.main` runs and has to do with the queue, the work itself first."""
        self.keeper.start()
        yield self._work()
        yield every(SWEEP_SECONDS, "janitor", self._janitor.sweep)

    async def drain(self) -> None:
        self.keeper.drain()
        await self.worker.drain(self._drain_seconds, asyncio.Event())

    async def close(self) -> None:
        await self.keeper.stop()
        await close(self.redis)

    async def _work(self) -> None:
        await until_reachable(lambda: ping(self.redis))
        await self.worker.async_run()


async def _leave_alone(strangers: Mapping[str, str]) -> None:
    """No stock client is measured here."""


async def _body(job: Job) -> Conclusion:
    told = job.spec.metadata
    await job_log.body(told["job"], int(told["submitted"]), float(told["seconds"]), attempt=job.attempt)
    return Conclusion(Event.SUCCEED, output="ok")


def _queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=_RETENTION_MS)
