"""The worker proper: arq's `Worker` with a claim of our own.

From arq come the job format, the task table and the health record. Replaced is how jobs are taken
(one atomic lease instead of a read, a lock and a race), how they are waited for (a wake-up instead of a poll) and
how one is run (`worker.executor`). Why: docs/adr/0001-arq-format-own-claim.md.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol

from arq import Worker, func
from arq.connections import ArqRedis

from shared import backoff, clock, keys, log, metrics
from shared.job import Job, WaitReason
from shared.queue import Queue, json_bytes
from shared.redis_client import ANSWER_SECONDS, Redis, reachable
from worker.attempt import Interruption

logger = log.get(__name__)

IDLE_SECONDS = 20.0
"""How long an idle worker waits to be woken before it looks by itself."""
_LOST_ATTEMPT_MS = 1_000
"""How long a job is put off whose lost attempt has not ended here yet."""
_OTHER_VERSION_MS = 15_000
"""How long a record that this version cannot read is left to workers of another."""
_CLAIM_AT_ONCE = 64
_HEALTH_SECONDS = 60
_LAST_WRITES_SECONDS = 10.0
"""How long jobs may take to be given back; with Redis away they are left to whoever buries this worker."""
_PROBATION_SECONDS = 30.0
"""How long a suspect must have run here before the next one is taken."""


class RunningJob(Protocol):
    """A job this worker holds, and since when by the monotonic clock."""

    job: Job
    since: float


class JobRunner(Protocol):
    """What runs claimed jobs: `worker.executor.Executor`. `running` holds every job whose lease is to be kept."""

    @property
    def running(self) -> Mapping[str, RunningJob]: ...
    @property
    def draining(self) -> asyncio.Event: ...
    def start(self, job: Job, now_ms: int) -> "asyncio.Task[None]": ...
    def interrupt(self, job_id: str, why: Interruption) -> None: ...
    def interrupt_all(self, why: Interruption) -> None: ...


class LeaseWorker(Worker):
    """Runs jobs until told to stop.

    `on_strangers` hears of what a stock client has enqueued, `on_anew` that this worker may have lost what it held.
    """

    def __init__(
        self,
        *,
        redis: Redis,
        queue: Queue,
        executor: JobRunner,
        owner: str,
        slots: int,
        on_strangers: Callable[[Mapping[str, str]], Awaitable[None]],
        on_anew: Callable[[], None],
    ) -> None:
        super().__init__(
            functions=[func(_never, name=keys.JOB_FUNCTION)],
            queue_name=keys.ARQ_QUEUE,
            redis_pool=ArqRedis(connection_pool=redis.connection_pool),
            handle_signals=False,
            max_jobs=slots,
            poll_delay=0,
            health_check_interval=_HEALTH_SECONDS,
            job_serializer=json_bytes,
            job_deserializer=json.loads,
        )
        self._redis = redis
        self._queue = queue
        self._executor = executor
        self._owner = owner
        self._on_strangers = on_strangers
        self._on_anew = on_anew
        self._slot_freed = asyncio.Event()
        self._taking: asyncio.Task[bool] | None = None
        self._ticket = 1
        self._failures = 0
        metrics.SLOTS.set(slots)

    async def main(self) -> None:
        """Takes jobs until cancelled. arq's own start-up would end the process for a Redis that is away just then."""
        while True:
            await self._poll_iteration()

    async def _poll_iteration(self) -> None:
        """Takes what is due, or waits until something is."""
        try:
            free = self.max_jobs - len(self._executor.running)
            more = await self._whole(self._take(free)) if free > 0 else False
            async with reachable():
                await self.heart_beat()
            if not more:
                await self._idle()
            self._failures = 0
        except Exception as error:
            self._failures += 1
            if self._failures == 1:
                logger.warning("claim_failing", error=f"{type(error).__name__}: {error}", effect="running jobs go on")
            await asyncio.sleep(backoff.full_jitter(self._failures, base=0.1, cap=2))

    async def _whole(self, taking: Coroutine[None, None, bool]) -> bool:
        """A claim that is cancelled is still carried through: its jobs are leased to us by then."""
        self._taking = asyncio.create_task(taking)
        return await asyncio.shield(self._taking)

    async def _take(self, free: int) -> bool:
        """Claims and starts up to `free` jobs; whether there may be more."""
        claim = await self._queue.claim(
            self._owner,
            ticket=self._ticket,
            wanted=min(free, _CLAIM_AT_ONCE),
            suspects=self._room_for_suspects(),
        )
        self._ticket += 1
        if claim.anew:
            self._on_anew()
        later = dict.fromkeys(claim.unreadable, _OTHER_VERSION_MS)
        for job in claim.jobs:
            if job.id in self._executor.running:  # it was lost, and its attempt here has not ended yet
                self._executor.interrupt(job.id, Interruption.LEASE_LOST)
                later[job.id] = _LOST_ATTEMPT_MS
            else:
                self._start(job, claim.now_ms)
        for job_id, delay_ms in later.items():
            await self._queue.release(self._owner, job_id, WaitReason.CAPACITY, delay_ms=delay_ms)
        if claim.strangers:
            await self._on_strangers(claim.strangers)
        return bool(claim.jobs or claim.strangers)

    def _start(self, job: Job, now_ms: int) -> None:
        task = self._executor.start(job, now_ms)
        self.tasks[job.id] = task
        task.add_done_callback(lambda task: self._ended(job.id, task))

    def _ended(self, job_id: str, task: "asyncio.Task[None]") -> None:
        if self.tasks.get(job_id) is task:
            del self.tasks[job_id]
        self.jobs_complete += 1
        self._slot_freed.set()

    def _room_for_suspects(self) -> int:
        """One suspect at a time, until it has lived long enough to be trusted."""
        probation_began = clock.monotonic() - _PROBATION_SECONDS
        running = self._executor.running.values()
        return 0 if any(one.job.suspect and one.since > probation_began for one in running) else 1

    async def _idle(self) -> None:
        """Until a slot is free, or until there is something to take."""
        if len(self._executor.running) >= self.max_jobs:
            self._slot_freed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEALTH_SECONDS / 2):  # the health record has to be written meanwhile
                    await self._slot_freed.wait()
            return
        async with reachable(IDLE_SECONDS + ANSWER_SECONDS):
            await self._redis.blpop([keys.WAKE], timeout=IDLE_SECONDS)

    async def drain(self, seconds: float, hurry: asyncio.Event) -> None:
        """Stops claiming, lets jobs end their turn, and after `seconds` or at `hurry` gives back what still runs."""
        if self.main_task is not None:
            self.main_task.cancel()
        self._executor.draining.set()
        if self._taking is not None:
            await asyncio.wait([self._taking])
        deadline = clock.monotonic() + seconds
        impatient = asyncio.create_task(hurry.wait())
        while tasks := list(self.tasks.values()):
            left = deadline - clock.monotonic()
            if left <= 0 or hurry.is_set():
                self._executor.interrupt_all(Interruption.DRAIN)
                _, unwritten = await asyncio.wait(tasks, timeout=_LAST_WRITES_SECONDS)
                for task in unwritten:
                    task.cancel()
                break
            await asyncio.wait([*tasks, impatient], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()


async def _never(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
    """arq wants a function by the job's name; jobs are run by the executor."""
    raise NotImplementedError
