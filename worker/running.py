"""A job that a worker holds, and what may be done to it while it runs."""

import asyncio

from shared import clock
from shared.job import Job
from worker.attempt import Interruption
from worker.narrator import Audience


class Running:
    """A job this worker holds: since when, and why it was told to stop, if it was."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.since = clock.monotonic()
        self.interruption: Interruption | None = None
        self.audience = Audience()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """From here on an interruption cancels the attempt; one that came before its first step stops it here."""
        if self.interruption:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()

    def conclude(self) -> None:
        """The end is being written: nothing interrupts that."""
        self._task = None

    def interrupt(self, why: Interruption) -> None:
        """Stops the attempt wherever it is; the first reason counts."""
        if self.interruption is None:
            self.interruption = why
            if self._task:
                self._task.cancel()

    def follow(self, follower: str) -> None:
        """Somebody follows the job at this api process."""
        self.audience.welcome(follower)
