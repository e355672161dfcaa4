"""Submits that come while another is under way go to Redis together, in its next call.

Most of what a submit costs in Redis, and much of what it costs here, is the call. One that comes alone goes at once;
the more come, the more share a call, and each is still judged by itself (the group commit of databases: DeWitt et al.,
"Implementation Techniques for Main Memory Database Systems", SIGMOD 1984).
"""

import asyncio

from shared.errors import StoreUnavailable
from shared.queue import MOST_AT_ONCE, Queue
from shared.submission import Caps, Outcome, Submission

_Waiting = list[tuple[Submission, asyncio.Future[Outcome]]]


class Group:
    """Of one tenant."""

    def __init__(self, queue: Queue, caps: Caps) -> None:
        self._queue = queue
        self._caps = caps
        self._waiting: _Waiting = []
        self._sending: asyncio.Task[None] | None = None

    async def submit(self, job: Submission) -> Outcome:
        """What the queue says. Raises StoreUnavailable. Who gives up waiting may have submitted all the same."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await answer

    async def _send(self) -> None:
        try:
            while self._waiting:
                now, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._send_some(now)
        finally:
            self._sending = None

    async def _send_some(self, some: _Waiting) -> None:
        try:
            outcomes = await self._queue.submit_many([job for job, _ in some], caps=self._caps)
        except StoreUnavailable as error:
            _fail(some + self._waiting, error)  # who came meanwhile has waited as long for the same silence
            self._waiting = []
        except Exception as error:
            _fail(some, error)
        else:
            for (_, answer), outcome in zip(some, outcomes, strict=True):
                if not answer.done():
                    answer.set_result(outcome)


def _fail(waiting: _Waiting, error: Exception) -> None:
    for _, answer in waiting:
        if not answer.done():
            answer.set_exception(error)
