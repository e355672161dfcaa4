"""Keeping this worker's jobs, from a thread and an event loop of its own.

A tool that blocks the main loop for longer than a lease must not lose its job, nor its neighbours' jobs. But a main
loop that hangs for good must: after `longest_block` seconds without a sign of it this worker is silent, too.
The thread holds a connection that listens for cancels; that somebody listens there is also how the others know that
this process lives (`shared/lua/fleet_sweep.lua`).
"""

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from shared import clock, keys, log
from shared.errors import StoreUnavailable
from shared.fleet import BEAT_SECONDS, Fleet
from shared.job import WaitReason
from shared.listener import listen
from shared.queue import Queue
from shared.redis_client import close, connect
from worker.attempt import Interruption
from worker.background import every
from worker.watch import LOOK_SECONDS, Contact, Watch

logger = log.get(__name__)

_IDLE_SECONDS = 5.0
"""How often a worker that holds nothing says that it lives; that only counts its slots."""
_RENEW_SECONDS = 30.0
_THOROUGH_SECONDS = 200.0
"""A third of the backstop that every job has (`shared/lua/job_leases.lua`)."""
_UNKNOWN_SECONDS = 10.0
_PULSE_SECONDS = 0.5
_SOON_SECONDS = 0.3
_STOP_SECONDS = 5.0


class Running(Protocol):
    """A job that this worker runs."""

    def interrupt(self, why: Interruption) -> None: ...
    def follow(self, follower: str) -> None: ...


class LeaseKeeper:
    """`start` once the main loop runs, `stop` at the end; `running` is looked at from the thread, never changed."""

    def __init__(
        self,
        url: str,
        *,
        owner: str,
        slots: int,
        lease_ms: int,
        running: Mapping[str, Running],
        retention_ms: int,
        longest_block: float,
    ) -> None:
        self._url = url
        self._owner = owner
        self._slots = slots
        self._lease_ms = lease_ms
        self._running = running
        self._retention_ms = retention_ms
        self._longest_block = longest_block
        self._pulse_at = clock.monotonic()
        self._hung = False
        self._spoke = self._renewed = self._looked_through = -math.inf
        self._unknown: dict[str, float] = {}
        self._main: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._pulse: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="lease_keeper")
        self.ended = asyncio.Event()
        """Set when the thread has ended, however that came: then nobody keeps what this worker holds."""

    def start(self) -> None:
        """To be called in the main loop."""
        self._main = asyncio.get_running_loop()
        self._pulse = asyncio.create_task(self._beat_of_the_main_loop())
        self._thread.start()

    async def stop(self) -> None:
        """Ends the thread and leaves the fleet. Safe to call twice."""
        if self._pulse is not None:
            self._pulse.cancel()
        if self._loop is not None and self._work is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # it has ended by itself just now
                self._loop.call_soon_threadsafe(self._work.cancel)
            await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    def drain(self) -> None:
        """This worker takes no more jobs: it has no slots that anybody could count on."""
        self._slots = 0

    async def _beat_of_the_main_loop(self) -> None:
        while True:
            self._pulse_at = clock.monotonic()
            await asyncio.sleep(_PULSE_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._keep())
        finally:
            self._in_main_loop(self.ended.set)

    async def _keep(self) -> None:
        self._loop, self._work = asyncio.get_running_loop(), asyncio.current_task()
        redis, contact = connect(self._url), Contact()
        queue = Queue(redis, retention_ms=self._retention_ms)
        fleet = Fleet(redis, self._owner, lease_ms=self._lease_ms, retention_ms=self._retention_ms)
        watch = Watch(fleet, contact)
        seconds = min(BEAT_SECONDS, self._lease_ms / 3000)
        loops: list[Coroutine[None, None, None]] = [
            every(seconds, "lease_keeper", lambda: self._look_after(queue, fleet, contact)),
            self._watch(watch),
            listen(
                redis,
                keys.CONTROL + self._owner,
                on_message=lambda text: self._hear(text, watch),
                on_connect=lambda: self._missed_something(watch),
            ),
        ]
        try:
            await asyncio.gather(*loops)
        except asyncio.CancelledError:
            with suppress(StoreUnavailable):
                await fleet.leave()
        finally:
            await close(redis)

    async def _watch(self, watch: Watch) -> None:
        """For as long as this process lives; a process whose main loop hangs leaves the watch to others."""
        pause = 0.0

        async def look() -> None:
            nonlocal pause
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await watch.called.wait()
            pause = LOOK_SECONDS  # after a failure, too
            if not self._main_loop_hangs():
                pause = await watch.look()

        await every(0, "watch", look)

    async def _look_after(self, queue: Queue, fleet: Fleet, contact: Contact) -> None:
        """Says that this worker lives, and finds out now and then what it really holds.

        Gives up early enough for one more try within the lease.
        """
        held, now = dict(self._running), clock.monotonic()
        idle_seconds = min(_IDLE_SECONDS, self._lease_ms / 2000)
        if self._main_loop_hangs() or (not held and now - self._spoke < idle_seconds):
            return
        async with asyncio.timeout(max(0.25, self._lease_ms / 4000)):
            if not await fleet.beat(self._slots):
                self.look_through_soon()  # taken for dead, or new: what it held may be others' by now
                await fleet.enlist(self._slots)
        self._spoke = now
        contact.felt()
        if now - self._renewed >= _RENEW_SECONDS:
            try:
                await self._renew(queue, held, now)
            except Exception:
                self.look_through_soon()
                raise

    async def _renew(self, queue: Queue, held: Mapping[str, Running], now: float) -> None:
        """What is said meanwhile to have changed is looked at next time: so the times are set before."""
        thorough = now - self._looked_through >= _THOROUGH_SECONDS
        self._renewed = now
        self._looked_through = now if thorough else self._looked_through
        renewal = await queue.renew(self._owner, held, thorough=thorough)
        for job_id in renewal.lost:
            self._tell(job_id, held[job_id], Interruption.LEASE_LOST)
        for job_id in renewal.cancelling:
            self._tell(job_id, held[job_id], Interruption.CANCEL)
        unknown = set(renewal.unknown) - self._running.keys()
        self._unknown = {job_id: self._unknown.get(job_id, now) for job_id in unknown}
        for job_id, since in self._unknown.items():
            if now - since >= _UNKNOWN_SECONDS:  # not one that is just being taken: an attempt that broke
                await queue.release(self._owner, job_id, WaitReason.CAPACITY)

    def look_through_soon(self) -> None:
        """What this worker holds, or is to cancel, may be other than it knows. From any thread."""
        self._renewed = self._looked_through = -math.inf

    def _missed_something(self, watch: Watch) -> None:
        """While nobody listened."""
        self.look_through_soon()
        watch.call(0)

    def _hear(self, text: str, watch: Watch) -> None:
        match text.split(" "):
            case ["cancel", job_id]:
                self._in_main_loop(lambda: self._cancel(job_id))
            case ["follow", job_id, follower]:
                self._in_main_loop(lambda: self._follow(job_id, follower))
            case ["due", milliseconds]:
                watch.call(int(milliseconds) / 1000)

    def _tell(self, job_id: str, running: Running | None, why: Interruption) -> None:
        """In the main loop, where the answer may by now be about an attempt that has ended."""

        def interrupt() -> None:
            if running is not None and self._running.get(job_id) is running:
                running.interrupt(why)

        self._in_main_loop(interrupt)

    def _cancel(self, job_id: str) -> None:
        """A job whose claim is still under way is found by looking through all."""
        if running := self._running.get(job_id):
            running.interrupt(Interruption.CANCEL)
        else:
            self.look_through_soon()

    def _follow(self, job_id: str, follower: str, *, again: bool = True) -> None:
        """A job whose claim is still under way is there in a moment."""
        if running := self._running.get(job_id):
            running.follow(follower)
        elif again:
            asyncio.get_running_loop().call_later(_SOON_SECONDS, partial(self._follow, job_id, follower, again=False))

    def _in_main_loop(self, action: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # it is closed: the process ends
            if self._main is not None:
                self._main.call_soon_threadsafe(action)

    def _main_loop_hangs(self) -> bool:
        hangs = clock.monotonic() - self._pulse_at > self._longest_block
        if hangs and not self._hung:
            logger.error(
                "main_loop_hangs",
                seconds=round(clock.monotonic() - self._pulse_at),
                effect="its jobs are left to other workers; a tool without await should be a plain def",
            )
        self._hung = hangs
        return hangs
