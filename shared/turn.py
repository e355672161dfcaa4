"""The journal of a job: what was bought from the model and what its tools did, in the order it happened.

A turn is one model call and its tool calls. The journal is append-only; each record is one JSON object in a Redis
list. Whoever opens a job again reads the journal and knows where it stands: finished work is never bought twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from shared.action import Decision, DecisionRecord
from shared.message import MessageRecord, followed_by
from shared.step import Mark, StepIntentRecord, StepRecord
from shared.usage import Usage

Block = dict[str, Any]
"""A content block of the Messages API."""


_OF_ITS_MODEL = ("thinking", "redacted_thinking")
"""Blocks signed by the model that said them, for itself and its account."""


class ServedAs(StrEnum):
    """Why it was this target of the chain that answered."""

    FIRST = "first"
    FALLBACK = "fallback"
    DRILL = "drill"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model's answer: content blocks, why it stopped, what it cost, and who served it."""

    kind: ClassVar[str] = "model"
    turn: int
    content: list[Block]
    stop_reason: str
    usage: Usage
    target: str
    model: str
    request_id: str | None
    milliseconds: int
    served_as: ServedAs = ServedAs.FIRST
    mark: Mark | None = None
    """Which call of a custom agent's function this answers."""
    shortened: bool = False
    """The answer could not be as long as the agent allows: so little was left of the limits in tokens and money."""

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def calls_tools(self) -> bool:
        """A turn that ended for any other reason than its tool calls may hold one that was cut off in the middle."""
        return self.stop_reason == "tool_use" and any(block["type"] == "tool_use" for block in self.content)


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A call whose answer broke off, or was not waited for: what it cost, as far as that is known."""

    kind: ClassVar[str] = "broken"
    turn: int
    usage: Usage
    target: str
    model: str
    why: str
    """The provider's error type, or that it was cancelled."""


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """Written before a tool that must not run twice: with no receipt after it, its outcome is unknown."""

    kind: ClassVar[str] = "intent"
    turn: int
    tool_use_id: str


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """The receipt of a tool call: what the model is told."""

    kind: ClassVar[str] = "result"
    turn: int
    tool_use_id: str
    name: str
    content: str
    is_error: bool
    milliseconds: int


Record = (
    ModelRecord
    | BrokenRecord
    | IntentRecord
    | ResultRecord
    | DecisionRecord
    | MessageRecord
    | StepIntentRecord
    | StepRecord
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call that the model asked for, with the turn in which it did."""

    turn: int
    id: str
    name: str
    input: dict[str, Any]
    """What the model gave, or what a person put in its place."""
    started: bool
    """An intent is in the journal, and nobody has said since what became of it: it may have run already."""
    decisions: tuple[DecisionRecord, ...] = ()
    """What persons have decided about it, oldest first."""
    begun: bool = False
    """An intent is in the journal, whatever was said of it since."""
    place: int = 0
    """How many calls of the turn are before it."""

    @property
    def decided(self) -> DecisionRecord | None:
        """The decision that is to be carried out; once that has begun there is none."""
        return self.decisions[-1] if self.decisions and not self.started else None

    @property
    def permission(self) -> DecisionRecord | None:
        """By which decision it may run, with which input: the last one counts."""
        allowed = (one for one in reversed(self.decisions) if one.decision in (Decision.APPROVE, Decision.EDIT))
        return next(allowed, None)

    @property
    def edited(self) -> bool:
        return any(one.decision == Decision.EDIT for one in self.decisions)


@dataclass(frozen=True, slots=True)
class TurnCall:
    """One tool call of a turn with its receipt, None while there is none."""

    name: str
    input: dict[str, Any]
    result: ResultRecord | None


class Transcript:
    """A job's input and journal, read as a conversation."""

    def __init__(self, job_input: str | list[dict[str, Any]], records: list[Record], *, inherited: int = 0) -> None:
        """The first `inherited` records are another job's, which has paid for them."""
        opening: list[dict[str, Any]] = (
            [{"role": "user", "content": job_input}] if isinstance(job_input, str) else job_input
        )
        self._opening = opening
        self._records = list(records)
        self._inherited = inherited

    def append(self, record: Record) -> None:
        self._records.append(record)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> Sequence[Record]:
        """The journal, oldest first."""
        return self._records

    @property
    def last_model(self) -> ModelRecord | None:
        return next((record for record in reversed(self._records) if isinstance(record, ModelRecord)), None)

    @property
    def spoken_to(self) -> bool:
        """Somebody has said something to the job since the model's last answer."""
        turns = (record for record in reversed(self._records) if isinstance(record, ModelRecord | MessageRecord))
        return isinstance(next(turns, None), MessageRecord)

    @property
    def turns(self) -> int:
        return sum(isinstance(record, ModelRecord) for record in self._records)

    @property
    def own_turns(self) -> int:
        """Those that this job has bought itself."""
        return sum(isinstance(record, ModelRecord) for record in self._records[self._inherited :])

    @property
    def usage(self) -> Usage:
        """Of all calls of this job, those included whose answers broke off."""
        own = self._records[self._inherited :]
        calls = (record.usage for record in own if isinstance(record, ModelRecord | BrokenRecord))
        return sum(calls, Usage())

    @property
    def text(self) -> str:
        """What the model said last, text blocks only; of an unfinished job that is its partial output."""
        for record in reversed(self._records):
            if isinstance(record, ModelRecord) and record.text:
                return record.text
        return ""

    def unanswered(self) -> list[ToolCall]:
        """The tool calls of the last turn that have no receipt yet, in the model's order."""
        last = self.last_model
        if last is None or not last.calls_tools:
            return []
        answered = {record.tool_use_id for record in self._of(last.turn) if isinstance(record, ResultRecord)}
        blocks = enumerate(block for block in last.content if block["type"] == "tool_use")
        return [self._call(last.turn, block, place) for place, block in blocks if block["id"] not in answered]

    def _of(self, turn: int) -> list[Record]:
        return [record for record in self._records if record.turn == turn]

    def _call(self, turn: int, block: Block, place: int) -> ToolCall:
        """The call as the journal leaves it: an intent after the last decision says that it was begun (again)."""
        kept = (one for one in self._of(turn) if isinstance(one, IntentRecord | DecisionRecord))
        mine = [one for one in kept if one.tool_use_id == block["id"]]
        if not any(isinstance(one, IntentRecord) for one in mine):
            mine = [one for one in mine if not self._lapsed(one)]
        decisions = tuple(one for one in mine if isinstance(one, DecisionRecord))
        edits = [one.input for one in decisions if one.input is not None]
        begun = any(isinstance(one, IntentRecord) for one in mine)
        started = begun and isinstance(mine[-1], IntentRecord)
        given = [block["input"], *edits][-1]
        return ToolCall(turn, block["id"], block["name"], given, started, decisions, begun, place)

    def _lapsed(self, record: IntentRecord | DecisionRecord) -> bool:
        """A permission is for the job in which it was given: of two retries both would do what was allowed once."""
        permits = isinstance(record, DecisionRecord) and record.decision in (Decision.APPROVE, Decision.EDIT)
        return permits and any(record is one for one in self._records[: self._inherited])

    def calls_of_turns(self, last: int) -> list[list[TurnCall]]:
        """The tool calls of the last so many turns, oldest first."""
        models = [record for record in self._records if isinstance(record, ModelRecord)][-last:]
        receipts = {
            (record.turn, record.tool_use_id): record for record in self._records if isinstance(record, ResultRecord)
        }
        return [
            [
                TurnCall(block["name"], block["input"], receipts.get((model.turn, block["id"])))
                for block in model.content
                if block["type"] == "tool_use"
            ]
            for model in models
        ]

    def messages(self, target: str | None = None) -> list[dict[str, Any]]:
        """The conversation as the Messages API takes it: each turn's tool results in one message of the user,
        with what was said to the job behind them. A tool call that was cut off in the model's answer is left out.

        As `target` may be asked: thinking that another target signed is left out, since one model must not be given
        that of another. So each target always gets the same words before its own, which its signatures vouch for, too.
        """
        messages = list(self._opening)
        told: list[Block] = []
        for record in self._records:
            if isinstance(record, ModelRecord):
                messages, told = followed_by(messages, told), []
                content = record.content if record.calls_tools else _without(record.content, "tool_use")
                if content := content if target in (None, record.target) else _without(content, *_OF_ITS_MODEL):
                    messages.append({"role": "assistant", "content": content})
            elif isinstance(record, MessageRecord):
                told += record.blocks()
            elif isinstance(record, ResultRecord):
                told.append(
                    {
                        "type": "tool_result",
                        "tool_use_id": record.tool_use_id,
                        "content": record.content,
                        "is_error": record.is_error,
                    }
                )
        return followed_by(messages, told)


def _without(content: list[Block], *types: str) -> list[Block]:
    return [block for block in content if block["type"] not in types]
