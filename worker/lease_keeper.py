"""Keeping the leases of this worker's jobs."""

import asyncio

from shared.queue import Queue
from worker.attempt import Interruption
from worker.executor import Executor


class LeaseKeeper:
    """To be run every third of a lease."""

    def __init__(self, *, queue: Queue, executor: Executor, owner: str, lease_ms: int) -> None:
        self._queue = queue
        self._executor = executor
        self._owner = owner
        self._lease_ms = lease_ms

    async def renew(self) -> None:
        """Extends all leases; stops attempts whose job is lost or to be cancelled.

        Gives up early enough for one more try within the lease.
        """
        held = dict(self._executor.running)
        if not held:
            return
        async with asyncio.timeout(self._lease_ms / 4000):
            renewal = await self._queue.renew(self._owner, held, lease_ms=self._lease_ms)
        for job_id in renewal.lost:
            if self._executor.running.get(job_id) is held[job_id]:  # else the answer is about an attempt that ended
                held[job_id].interrupt(Interruption.LEASE_LOST)
        for job_id in renewal.cancelling:
            held[job_id].interrupt(Interruption.CANCEL)
