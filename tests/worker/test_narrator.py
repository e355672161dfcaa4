"""The narrator: silent while nobody follows, ten times a second at most while somebody does, never in the way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest

from shared import clock
from shared.errors import StoreUnavailable
from shared.event_log import EventLog
from shared.turn import IntentRecord, ModelRecord, ResultRecord, ToolCall
from shared.usage import Usage
from tests.waiting import until
from worker import narrator as narrating
from worker.narrator import Audience, Narrator

ANSWER = ModelRecord(1, [{"type": "text", "text": "Hi"}], "end_turn", Usage(output_tokens=2), "t", "model", None, 3)
Story = list[tuple[str, dict[str, Any]]]


class Log(EventLog):
    """Keeps what it is told, each batch once, as the script does. `fail` is what it does instead of answering."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, list[str]]] = []
        self.story: Story = []
        self.tickets: list[str] = []
        self.fail: Callable[[], None] = lambda: None
        self.gate: asyncio.Event | None = None

    async def tell(self, owner: str, job_id: str, told: str, followers: Any) -> bool:
        assert (owner, job_id) == ("worker", "job_1")
        self.calls.append((clock.monotonic(), list(followers)))
        if self.gate:
            await self.gate.wait()
        self.keep(told)
        self.fail()
        return True

    def keep(self, told: str) -> None:
        for ticket, events in json.loads(told):
            if ticket not in self.tickets[-1:]:
                self.story += [(type, json.loads(data)) for type, _, data, *_ in events]
            self.tickets.append(ticket)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.story]

    @property
    def text(self) -> str:
        return "".join(data["text"] for kind, data in self.story if kind == "text.delta")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def audience() -> Audience:
    return Audience()


@pytest.fixture
async def narrator(log: Log, audience: Audience) -> AsyncIterator[Narrator]:
    made = Narrator(log, owner="worker", job_id="job_1", claim=2, audience=audience)
    yield made
    await made.close()


async def save(narrator: Narrator, log: Log, record: Any = ANSWER) -> None:
    async with narrator.saving(record) as told:
        log.keep(told)


async def test_while_nobody_follows_all_goes_with_the_checkpoint(narrator: Narrator, log: Log) -> None:
    narrator.turn_started(1)
    for word in ("Hel", "lo ", "there"):
        narrator.text(word)
        await asyncio.sleep(0)
    await save(narrator, log)
    assert log.calls == []
    assert log.kinds == ["turn.started", "text.delta", "turn.completed"]
    assert log.text == "Hello there"
    assert log.story[-1][1]["usage"]["output_tokens"] == 2


async def test_who_comes_in_the_middle_gets_what_there_is_at_once(
    narrator: Narrator, log: Log, audience: Audience
) -> None:
    narrator.turn_started(1)
    narrator.text("Hello ")
    audience.welcome("api-1")
    await until(lambda: log.text == "Hello ")
    narrator.text("there")
    await until(lambda: log.text == "Hello there")
    await save(narrator, log)
    assert log.kinds == ["turn.started", "text.delta", "text.delta", "turn.completed"]
    assert {tuple(followers) for _, followers in log.calls} == {("api-1",)}


async def test_a_stream_of_words_is_told_in_batches(narrator: Narrator, log: Log, audience: Audience) -> None:
    audience.welcome("api-1")
    began = clock.monotonic()
    narrator.turn_started(1)
    said = ""
    while clock.monotonic() < began + 1.0:
        narrator.text("word ")
        said += "word "
        await asyncio.sleep(0.001)
    await save(narrator, log)
    times = [at for at, _ in log.calls]
    assert len(times) <= 12
    assert all(later - sooner >= narrating.PAUSE_SECONDS * 0.99 for sooner, later in pairwise(times))
    assert log.text == said


async def test_a_slow_store_holds_up_no_text_and_no_order(narrator: Narrator, log: Log, audience: Audience) -> None:
    log.gate = asyncio.Event()
    audience.welcome("api-1")
    narrator.turn_started(1)
    await until(lambda: len(log.calls) == 1)
    narrator.text("Hello")
    saving = asyncio.create_task(save(narrator, log))
    await asyncio.sleep(0)
    assert not saving.done()
    log.gate.set()
    await saving
    assert log.kinds == ["turn.started", "text.delta", "turn.completed"]


async def test_what_may_have_arrived_is_sent_again_as_it_was(narrator: Narrator, log: Log, audience: Audience) -> None:
    def lost() -> None:
        log.fail = lambda: None
        raise StoreUnavailable("the answer was lost")

    log.fail = lost
    audience.welcome("api-1")
    narrator.turn_started(1)
    narrator.text("Hello ")
    await until(lambda: len(log.calls) == 1)
    narrator.text("there")
    await save(narrator, log)
    assert log.kinds == ["turn.started", "text.delta", "text.delta", "turn.completed"]
    assert log.text == "Hello there"
    assert log.tickets == ["2.1", "2.1", "2.2"]


async def test_an_answer_that_broke_off_before_anybody_saw_it_never_was(narrator: Narrator, log: Log) -> None:
    narrator.turn_started(1)
    narrator.text("Hel")
    narrator.broke_off()
    narrator.text("Hello")
    await save(narrator, log)
    assert log.kinds == ["turn.started", "text.delta", "turn.completed"]
    assert log.text == "Hello"


async def test_an_answer_that_somebody_saw_break_off_begins_anew(
    narrator: Narrator, log: Log, audience: Audience
) -> None:
    audience.welcome("api-1")
    narrator.turn_started(1)
    narrator.text("Hel")
    await until(lambda: log.text == "Hel")
    narrator.broke_off()
    narrator.text("Hello")
    await save(narrator, log)
    assert log.kinds == ["turn.started", "text.delta", "turn.started", "text.delta", "turn.completed"]


async def test_a_tool_call_is_told_with_what_it_is_asked(narrator: Narrator, log: Log) -> None:
    narrator.tool_started(ToolCall(1, "x", "clock", {"zone": "UTC"}, started=False))
    await save(narrator, log, IntentRecord(1, "x"))
    narrator.tool_started(ToolCall(1, "y", "clock", {"zone": "x" * 5000}, started=False))
    await save(narrator, log, ResultRecord(1, "x", "clock", "noon", True, 7))
    assert [(kind, data.get("input")) for kind, data in log.story] == [
        ("tool.started", {"zone": "UTC"}),
        ("tool.started", None),
        ("tool.completed", None),
    ]
    assert log.story[-1][1] == {"turn": 1, "tool_call_id": "x", "name": "clock", "is_error": True, "milliseconds": 7}


async def test_a_long_text_is_told_in_parts_and_half_a_character_does_no_harm(narrator: Narrator, log: Log) -> None:
    narrator.turn_started(1)
    narrator.text("x" * 20_000 + "\ud83d")
    await save(narrator, log)
    assert [len(data["text"]) for kind, data in log.story if kind == "text.delta"] == [8000, 8000, 4001]
    assert log.text.endswith("x?")


async def test_who_has_not_said_for_long_that_it_follows_does_not(
    narrator: Narrator, log: Log, audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    audience.welcome("api-1")
    now += narrating.FOLLOWED_SECONDS - 1
    assert audience.present() == ["api-1"]
    audience.welcome("api-2")
    now += 2
    assert audience.present() == ["api-2"]
    now += narrating.FOLLOWED_SECONDS
    assert audience.present() == []


async def test_after_its_end_nothing_is_told(narrator: Narrator, log: Log, audience: Audience) -> None:
    narrator.turn_started(1)
    await narrator.close()
    audience.welcome("api-1")
    await asyncio.sleep(0)
    assert log.calls == []
