"""Following jobs: whoever waits for a change is woken by it. One subscription for the whole process.

A long poll waits for the job's next revision. A reader of events follows closely: it also waits for what a worker tells
between two changes, which workers only send to processes that say so now and then (`keep_calling`).
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from shared import keys, log
from shared.errors import StoreUnavailable
from shared.event_log import EventLog

logger = log.get(__name__)

CALL_SECONDS = 10.0
"""How often workers are told what is followed; one that has not heard of it for three times as long stops telling."""

_Waiting = dict[str, set[asyncio.Event]]


class Followers:
    """Fed with the texts of two channels: `sluice:changes` (`id revision status`) and this process's own (`id`).

    `name` is what workers know this process by.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._waiting: _Waiting = defaultdict(set)
        self._close: _Waiting = defaultdict(set)
        self._closed = False

    @property
    def channels(self) -> tuple[str, str]:
        return keys.CHANGES, keys.NEWS + self.name

    def changed(self, text: str) -> None:
        job_id, *change = text.split(" ", 1)
        for event in self._close.get(job_id, ()):
            event.set()
        for event in self._waiting.get(job_id, ()) if change else ():
            event.set()

    def look_again(self) -> None:
        """Wakes everybody: changes may have been missed."""
        for waiting in (self._waiting, self._close):
            for events in waiting.values():
                for event in events:
                    event.set()

    def close(self) -> None:
        """The process ends: nobody waits any more."""
        self._closed = True
        self.look_again()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def followed_closely(self) -> list[str]:
        """Ids of jobs."""
        return list(self._close)

    def follow(self, job_id: str) -> AbstractContextManager[asyncio.Event]:
        """An event that is set at every change of the job from now on. Follow first, then read, then wait."""
        return _among(self._waiting, job_id)

    def follow_closely(self, job_id: str) -> AbstractContextManager[asyncio.Event]:
        """The same for every new event of the job."""
        return _among(self._close, job_id)


@contextmanager
def _among(waiting: _Waiting, job_id: str) -> Iterator[asyncio.Event]:
    event = asyncio.Event()
    waiting[job_id].add(event)
    try:
        yield event
    finally:
        waiting[job_id].discard(event)
        if not waiting[job_id]:
            del waiting[job_id]


async def keep_calling(followers: Followers, events: EventLog) -> None:
    """Tells the workers every few seconds which jobs are followed closely here, all in one call, until cancelled."""
    failing = False
    while True:
        await asyncio.sleep(CALL_SECONDS)
        try:
            if followed := followers.followed_closely:
                await events.follow(followers.name, followed)
            failing = False
        except StoreUnavailable as error:
            if not failing:
                logger.warning("workers_not_told", reason=str(error), effect="texts come in larger pieces")
            failing = True
