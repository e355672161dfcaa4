"""The turns of a job from outside: the bodies of `GET /v1/jobs/{id}/turns`, and how a journal becomes one."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.message_schemas import TurnMessageResource, turn_message
from api.schemas import UsageResource
from shared.action import Decision, DecisionRecord
from shared.inspector import Journal
from shared.message import MessageRecord
from shared.states import FINISHED, Status
from shared.step import StepIntentRecord, StepRecord
from shared.turn import BrokenRecord, ModelRecord, Record, ResultRecord, ServedAs
from shared.usage import Usage

MOST_TURNS = 100
"""On one page: a turn can hold a whole answer of the model."""
LARGEST_TURN = 1_000_000_000

Outcome = Literal["succeeded", "failed", "pending", "unknown", "not_run"]


class DecisionResource(BaseModel):
    """What a person said of a tool call or a step, or that nobody did in time (`expired`)."""

    decision: Decision
    edited_input: dict[str, Any] | None
    comment: str | None
    result: Any = Field(description="What a person has found of something done, JSON.")


class ToolCallResource(BaseModel):
    """A tool call of the model, and what it was told of it."""

    id: str = Field(examples=["toolu_01A09q90qw90lq917835lq9"])
    name: str
    input: dict[str, Any]
    outcome: Outcome = Field(
        description="`pending` while the job goes on; `unknown` when the job ended before the tool had answered: it "
        "may have run; `not_run` for one that was cut off in the model's answer."
    )
    result: str | None
    duration_seconds: float | None
    decisions: list[DecisionResource] = Field(description="What persons have decided about it, oldest first.")


class TurnResource(BaseModel):
    """One answer of the model, who gave it, what it cost, and the tool calls in it."""

    object: Literal["turn"]
    turn: int = Field(description="The first is 1.")
    content: list[dict[str, Any]] = Field(description="Content blocks of the Messages API.")
    stop_reason: str
    target: str = Field(description="The target of the chain that served it.", examples=["sonnet"])
    model: str = Field(examples=["claude-sonnet-4-6"])
    served_as: ServedAs
    request_id: str | None = Field(description="The provider's.")
    duration_seconds: float
    usage: UsageResource = Field(description="With that of calls before it whose answers broke off.")
    tool_calls: list[ToolCallResource]


class StepResource(BaseModel):
    """A step of a custom agent, and what became of it."""

    object: Literal["step"]
    name: str
    number: int = Field(description="The how manieth of this name; the first is 1.")
    after_turn: int = Field(description="How many turns were before it.")
    outcome: Outcome = Field(
        description="`pending` while a step that must not run twice goes on; `unknown` when the job ended before it "
        "had reported: it may have happened."
    )
    result: Any = Field(description="What it returned, JSON.")
    error: str | None
    duration_seconds: float | None
    decisions: list[DecisionResource] = Field(description="What persons have decided about it, oldest first.")


class TurnList(BaseModel):
    """The transcript so far, oldest first; it begins with the job's `input`. With `has_more` go on after `last_id`.
    `steps` are those of a custom agent, `messages` what was said to the job, between these turns and up to the next
    page."""

    object: Literal["list"]
    job_id: str
    status: Status
    revision: int
    data: list[TurnResource]
    steps: list[StepResource]
    messages: list[TurnMessageResource]
    has_more: bool
    first_id: int | None = Field(description="The number of the first turn of this page.")
    last_id: int | None


def turn_list(job_id: str, journal: Journal, *, limit: int, after: int) -> dict[str, Any]:
    """A page of the journal as `TurnList` describes it: turns with numbers above `after`."""
    later = [record for record in journal.records if isinstance(record, ModelRecord) and record.turn > after]
    models = later[:limit]
    next_page = models[-1].turn if len(later) > limit else None
    return {
        "object": "list",
        "job_id": job_id,
        "status": journal.status,
        "revision": journal.revision,
        "data": [_turn(record, journal) for record in models],
        "steps": _steps(journal, after, next_page),
        "messages": _messages(journal, after, next_page),
        "has_more": len(later) > limit,
        "first_id": models[0].turn if models else None,
        "last_id": models[-1].turn if models else None,
    }


def _steps(journal: Journal, after: int, last: int | None) -> list[dict[str, Any]]:
    """Those from turn `after` on, and before turn `last` where another page goes on there: whoever comes back for later
    turns misses none that has ended since. In the order in which they ended; those that have not, at the end."""
    receipts = [one for one in journal.records if isinstance(one, StepRecord)]
    ended = {one.mark for one in receipts}
    begun = {one.mark: one for one in journal.records if isinstance(one, StepIntentRecord) and one.mark not in ended}
    silent: Outcome = "unknown" if journal.status in FINISHED else "pending"
    steps = [_step(one, "failed" if one.error else "succeeded", journal) for one in receipts]
    steps += [_step(one, silent, journal) for one in begun.values()]
    return [one for one in steps if after <= one["after_turn"] and (last is None or one["after_turn"] < last)]


def _messages(journal: Journal, after: int, last: int | None) -> list[dict[str, Any]]:
    """Those that were heard from turn `after` on, and before turn `last` where another page goes on there; where none
    does, those that wait, too."""
    heard = [one for one in journal.records if isinstance(one, MessageRecord)]
    here = [turn_message(one) for one in heard if after <= one.turn and (last is None or one.turn < last)]
    return here + ([turn_message(one) for one in journal.unheard] if last is None else [])


def _step(record: StepRecord | StepIntentRecord, outcome: Outcome, journal: Journal) -> dict[str, Any]:
    receipt = record if isinstance(record, StepRecord) else None
    return {
        "object": "step",
        "name": record.mark.name,
        "number": record.mark.number,
        "after_turn": record.turn,
        "outcome": outcome,
        "result": receipt.result if receipt else None,
        "error": (receipt.error or None) if receipt else None,
        "duration_seconds": receipt.milliseconds / 1000 if receipt else None,
        "decisions": _decisions(journal.records, record.mark.id),
    }


def _turn(record: ModelRecord, journal: Journal) -> dict[str, Any]:
    receipts = _receipts(journal.records, record.turn)
    silent: Outcome = "unknown" if journal.status in FINISHED else "pending"
    if not record.calls_tools:
        silent = "not_run"
    calls = [
        _tool_call(block, receipts.get(block["id"]), silent, _decisions(journal.records, block["id"], record.turn))
        for block in record.content
        if block["type"] == "tool_use"
    ]
    return {
        "object": "turn",
        "turn": record.turn,
        "content": record.content,
        "stop_reason": record.stop_reason,
        "target": record.target,
        "model": record.model,
        "served_as": record.served_as,
        "request_id": record.request_id,
        "duration_seconds": record.milliseconds / 1000,
        "usage": (record.usage + _lost(journal.records, record.turn)).as_json() | {"tool_calls": len(receipts)},
        "tool_calls": calls,
    }


def _lost(records: Sequence[Record], turn: int) -> Usage:
    broken = (one.usage for one in records if isinstance(one, BrokenRecord) and one.turn == turn)
    return sum(broken, Usage())


def _receipts(records: Sequence[Record], turn: int) -> dict[str, ResultRecord]:
    return {one.tool_use_id: one for one in records if isinstance(one, ResultRecord) and one.turn == turn}


def _decisions(records: Sequence[Record], about: str, turn: int | None = None) -> list[dict[str, Any]]:
    """Those about this call of a turn, or this step, oldest first."""
    return [
        {"decision": one.decision, "edited_input": one.input, "comment": one.comment, "result": one.result}
        for one in records
        if isinstance(one, DecisionRecord) and one.tool_use_id == about and turn in (None, one.turn)
    ]


def _tool_call(
    block: dict[str, Any], receipt: ResultRecord | None, silent: Outcome, decisions: list[dict[str, Any]]
) -> dict[str, Any]:
    outcome = silent if receipt is None else "failed" if receipt.is_error else "succeeded"
    return {
        "id": block["id"],
        "name": block["name"],
        "input": block["input"],
        "outcome": outcome,
        "result": receipt.content if receipt else None,
        "duration_seconds": receipt.milliseconds / 1000 if receipt else None,
        "decisions": decisions,
    }
