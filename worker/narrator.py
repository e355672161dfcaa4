"""What one attempt tells whoever follows its job: turns, text as it comes, tool calls.

All of it is kept, but not all at once: while nobody follows, it goes with the next checkpoint, in the same script, and
costs no round trip. An api process where somebody follows says so to this worker every few seconds; as long as it does,
news go out ten times a second. Followers never hold up the work: what they have not read yet waits in Redis, not here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from shared import clock
from shared.errors import StoreUnavailable
from shared.event_log import EventLog
from shared.events import LONGEST_INPUT, LONGEST_TEXT, EventType
from shared.stored import writable
from shared.turn import ModelRecord, Record, ResultRecord, ToolCall

PAUSE_SECONDS = 0.1
"""How much time is between two tellings of one job, for one that was not heard ten times as much."""
FOLLOWED_SECONDS = 30.0
"""How long a job counts as followed after an api process has said so; it repeats that three times as often."""


class Audience:
    """The api processes where a job is followed. `on_arrival` is called when one is new."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self.on_arrival: Callable[[], None] = lambda: None

    def welcome(self, follower: str) -> None:
        """It follows, or still does."""
        new = follower not in self.present()
        self._until[follower] = clock.monotonic() + FOLLOWED_SECONDS
        if new:
            self.on_arrival()

    def present(self) -> list[str]:
        now = clock.monotonic()
        if self._until:
            self._until = {follower: until for follower, until in self._until.items() if until > now}
        return list(self._until)


class _News:
    """An event that has not been told: since when, and what. A text grows."""

    def __init__(self, type: EventType, data: dict[str, Any], begins: int | None = None) -> None:
        self.type = type
        self.at = clock.monotonic()
        self.data = data
        self.begins = begins
        self.text: list[str] = []

    def as_list(self) -> list[list[Any]]:
        """As `job_telling.lua` takes it; a long text in several parts."""
        age_ms = int((clock.monotonic() - self.at) * 1000)
        if self.type != EventType.TEXT_DELTA:
            begins = [] if self.begins is None else [self.begins]
            return [[self.type, age_ms, _json(self.data), *begins]]
        text = "".join(self.text)
        parts = (text[start : start + LONGEST_TEXT] for start in range(0, len(text), LONGEST_TEXT))
        return [[self.type, age_ms, _json(self.data | {"text": part})] for part in parts]


class Narrator:
    """One attempt's story. `claim` is `Job.claims`: it makes the tickets of its batches unlike any other attempt's."""

    def __init__(self, events: EventLog, *, owner: str, job_id: str, claim: int, audience: Audience) -> None:
        self._events = events
        self._owner = owner
        self._job_id = job_id
        self._claim = claim
        self._audience = audience
        self._turn = 0
        self._news: list[_News] = []
        self._in_doubt: list[Any] | None = None
        self._tickets = 0
        self._text_told = False
        self._not_before = 0.0
        self._one_by_one = asyncio.Lock()
        self._telling: asyncio.Task[None] | None = None
        audience.on_arrival = self._soon

    def turn_started(self, turn: int) -> None:
        self._turn, self._text_told = turn, False
        self._add(_News(EventType.TURN_STARTED, {"turn": turn}, begins=turn))

    def text(self, text: str) -> None:
        if not self._news or self._news[-1].type != EventType.TEXT_DELTA:
            self._news.append(_News(EventType.TEXT_DELTA, {"turn": self._turn}))
        self._news[-1].text.append(text)
        self._soon()

    def broke_off(self) -> None:
        """The answer is asked for anew: what was said of it does not count."""
        self._news = [news for news in self._news if news.type != EventType.TEXT_DELTA]
        if self._text_told:
            self.turn_started(self._turn)

    def tool_started(self, call: ToolCall) -> None:
        known = len(json.dumps(call.input)) <= LONGEST_INPUT
        about = {"turn": call.turn, "tool_call_id": call.id, "name": call.name}
        self._add(_News(EventType.TOOL_STARTED, about | {"input": call.input if known else None}))

    @asynccontextmanager
    async def saving(self, record: Record) -> AsyncIterator[str]:
        """While the record is saved nothing else is told. Yields what goes with it, as JSON for `job_telling.lua`.

        When the block raises, the attempt is over.
        """
        async with self._one_by_one:
            if (news := _of(record)) is not None:
                self._news.append(news)
            told = [*([self._in_doubt] if self._in_doubt else []), *self._batch()]
            yield _json(told)
            self._in_doubt = None

    async def close(self) -> None:
        """The attempt is over. What was not told by now belongs to a turn that will begin anew."""
        self._audience.on_arrival = lambda: None
        self._news.clear()
        if self._telling is not None and not self._telling.done():
            self._telling.cancel()
            await asyncio.wait([self._telling])

    def _add(self, news: _News) -> None:
        self._news.append(news)
        self._soon()

    def _soon(self) -> None:
        """Tells it, if anybody wants to know."""
        if self._news and (self._telling is None or self._telling.done()) and self._audience.present():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        await asyncio.sleep(max(0.0, self._not_before - clock.monotonic()))
        async with self._one_by_one:
            if self._in_doubt is None:
                self._in_doubt = next(iter(self._batch()), None)
            if self._in_doubt is None:
                return
            try:
                followers = self._audience.present()
                await self._events.tell(self._owner, self._job_id, _json([self._in_doubt]), followers)
            except StoreUnavailable:  # the next news, or the checkpoint, take it along
                self._not_before = clock.monotonic() + 10 * PAUSE_SECONDS
                return
            self._in_doubt = None
            self._not_before = clock.monotonic() + PAUSE_SECONDS
        asyncio.get_running_loop().call_soon(self._soon)  # what came meanwhile

    def _batch(self) -> list[list[Any]]:
        """All that has not been told, as one batch or none. From now on it stays as it is: it may arrive twice."""
        if not self._news:
            return []
        events = [event for news in self._news for event in news.as_list()]
        self._text_told = self._text_told or any(news.type == EventType.TEXT_DELTA for news in self._news)
        self._news = []
        self._tickets += 1
        return [[f"{self._claim}.{self._tickets}", events]]


def _of(record: Record) -> _News | None:
    """What a record says to followers."""
    match record:
        case ModelRecord():
            about: dict[str, Any] = {"turn": record.turn, "stop_reason": record.stop_reason, "model": record.model}
            return _News(EventType.TURN_COMPLETED, about | {"usage": record.usage.as_json()})
        case ResultRecord():
            about = {"turn": record.turn, "tool_call_id": record.tool_use_id, "name": record.name}
            return _News(
                EventType.TOOL_COMPLETED, about | {"is_error": record.is_error, "milliseconds": record.milliseconds}
            )
        case _:
            return None


def _json(value: Any) -> str:
    return writable(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
