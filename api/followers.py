"""Following jobs: whoever waits for a change is woken by it. One subscription for the whole process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Followers:
    """Fed with the texts of the channel `sluice:changes` (`id revision status`)."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._closed = False

    def changed(self, text: str) -> None:
        job_id = text.split(" ", 1)[0]
        for event in self._waiting.get(job_id, ()):
            event.set()

    def look_again(self) -> None:
        """Wakes everybody: changes may have been missed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    def close(self) -> None:
        """The process ends: nobody waits any more."""
        self._closed = True
        self.look_again()

    @property
    def closed(self) -> bool:
        return self._closed

    @contextmanager
    def follow(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at every change of the job from now on. Follow first, then read, then wait."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        try:
            yield event
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
