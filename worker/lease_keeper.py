"""Keeping the leases of this worker's jobs, from a thread and an event loop of its own.

A tool that blocks the main loop for longer than a lease must not lose its job, nor its neighbours' jobs. But a main
loop that hangs for good must: after `longest_block` seconds without a sign of it the leases are left to lapse.
The thread holds a connection that listens for cancels; that somebody listens there is also how the others know that
this process lives (`shared/lua/job_leases.lua`).
"""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from shared import clock, keys, log
from shared.listener import listen
from shared.queue import Holder, Queue
from shared.redis_client import Redis, close, connect
from worker.attempt import Interruption
from worker.background import every

logger = log.get(__name__)

BEAT_SECONDS = 1.0
"""How often a worker that holds jobs says that it lives; a third of the silence that others take for a death."""
_PULSE_SECONDS = 0.5
_STOP_SECONDS = 5.0


class Running(Protocol):
    """A job that this worker runs."""

    def interrupt(self, why: Interruption) -> None: ...


class LeaseKeeper:
    """`start` once the main loop runs, `stop` at the end; `running` is looked at from the thread, never changed."""

    def __init__(
        self,
        url: str,
        *,
        holder: Holder,
        running: Mapping[str, Running],
        retention_ms: int,
        longest_block: float,
    ) -> None:
        self._url = url
        self._holder = holder
        self._running = running
        self._retention_ms = retention_ms
        self._longest_block = longest_block
        self._seen = clock.monotonic()
        self._spoke = self._renewed = -longest_block
        self._draining = False
        self._hung = False
        self._main: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._pulse: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="lease_keeper")

    def start(self) -> None:
        """To be called in the main loop."""
        self._main = asyncio.get_running_loop()
        self._pulse = asyncio.create_task(self._beat_of_the_main_loop())
        self._thread.start()

    async def stop(self) -> None:
        """Ends the thread; what it kept lapses. Safe to call twice."""
        if self._pulse is not None:
            self._pulse.cancel()
        if self._loop is not None and self._work is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # it has ended by itself just now
                self._loop.call_soon_threadsafe(self._work.cancel)
            await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    def spoke(self) -> None:
        """The main loop itself has just given Redis a sign of life, by a claim."""
        self._spoke = clock.monotonic()

    def drain(self) -> None:
        """This worker takes no more jobs."""
        self._draining = True

    async def _beat_of_the_main_loop(self) -> None:
        while True:
            self._seen = clock.monotonic()
            await asyncio.sleep(_PULSE_SECONDS)

    def _run(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        self._loop, self._work = asyncio.get_running_loop(), asyncio.current_task()
        redis = connect(self._url)
        queue = Queue(redis, retention_ms=self._retention_ms)
        seconds = min(BEAT_SECONDS, self._holder.lease_ms / 3000)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(every(seconds, "lease_keeper", lambda: self._look_after(queue)))
                tasks.create_task(self._listen(redis))
        except asyncio.CancelledError:
            pass
        finally:
            await close(redis)

    async def _listen(self, redis: Redis) -> None:
        channel = keys.CONTROL + self._holder.owner
        await listen(
            redis,
            channel,
            on_message=lambda job_id: self._tell(job_id, self._running.get(job_id), Interruption.CANCEL),
            on_connect=lambda: None,  # what was missed meanwhile the next renewal makes up for
        )

    async def _look_after(self, queue: Queue) -> None:
        """Renews every third of a lease, and gives a sign of life in between while nothing else has.

        Gives up early enough for one more try within the lease.
        """
        if self._main_loop_hangs():
            return
        now, held = clock.monotonic(), dict(self._running)
        if not held:
            return
        async with asyncio.timeout(self._holder.lease_ms / 4000):
            if now - self._renewed >= self._holder.lease_ms / 3000 - 0.1:
                await self._renew(queue, held)
                self._renewed = self._spoke = now
            elif now - self._spoke >= BEAT_SECONDS - 0.1:
                await queue.beat(self._as())
                self._spoke = now

    async def _renew(self, queue: Queue, held: Mapping[str, Running]) -> None:
        renewal = await queue.renew(self._as(), held)
        for job_id in renewal.lost:
            self._tell(job_id, held[job_id], Interruption.LEASE_LOST)
        for job_id in renewal.cancelling:
            self._tell(job_id, held[job_id], Interruption.CANCEL)

    def _as(self) -> Holder:
        """A worker that drains has no slots to count on."""
        return Holder(self._holder.owner, 0 if self._draining else self._holder.slots, self._holder.lease_ms)

    def _tell(self, job_id: str, running: Running | None, why: Interruption) -> None:
        """In the main loop, where the answer may by now be about an attempt that has ended."""

        def interrupt() -> None:
            if running is not None and self._running.get(job_id) is running:
                running.interrupt(why)

        if self._main is not None and not self._main.is_closed():
            self._main.call_soon_threadsafe(interrupt)

    def _main_loop_hangs(self) -> bool:
        hangs = clock.monotonic() - self._seen > self._longest_block
        if hangs and not self._hung:
            logger.error(
                "main_loop_hangs",
                seconds=round(clock.monotonic() - self._seen),
                effect="its jobs are left to other workers; a tool without await should be a plain def",
            )
        self._hung = hangs
        return hangs
