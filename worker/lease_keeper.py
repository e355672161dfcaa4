"""Keeping what this worker holds: the leases of its jobs and the places of its calls at the gate."""

from shared import log
from shared.gate import Gate
from shared.queue import Queue
from worker.attempt import Interruption
from worker.executor import Executor

logger = log.get(__name__)


class LeaseKeeper:
    """To be run every third of a lease."""

    def __init__(self, *, queue: Queue, gate: Gate, executor: Executor, owner: str, lease_ms: int) -> None:
        self._queue = queue
        self._gate = gate
        self._executor = executor
        self._owner = owner
        self._lease_ms = lease_ms

    async def renew(self) -> None:
        """Extends all leases; stops attempts whose job is lost or to be cancelled."""
        held = list(self._executor.running)
        if not held:
            return
        renewal = await self._queue.renew(self._owner, held, lease_ms=self._lease_ms)
        for job_id in renewal.lost:
            self._executor.interrupt(job_id, Interruption.LEASE_LOST)
        for job_id in renewal.cancelling:
            self._executor.interrupt(job_id, Interruption.CANCEL)
        await self._gate.renew()
