"""How a job's turns look from outside: from its journal to a page of `api.turn_schemas.TurnList`."""

from collections.abc import Sequence
from typing import Any

from api.message_schemas import turn_message
from api.turn_schemas import Outcome
from shared.action import DecisionRecord
from shared.inspector import Journal
from shared.message import MessageRecord
from shared.states import FINISHED
from shared.step import StepIntentRecord, StepRecord
from shared.turn import BrokenRecord, ModelRecord, Record, ResultRecord


def turn_list(job_id: str, journal: Journal, *, limit: int, after: int) -> dict[str, Any]:
    """A page of the journal as `TurnList` describes it: turns with numbers above `after`."""
    later = [record for record in journal.records if isinstance(record, ModelRecord) and record.turn > after]
    models = later[:limit]
    next_page = models[-1].turn if len(later) > limit else None
    broken = _own_broken_calls(journal)
    return {
        "object": "list",
        "job_id": job_id,
        "status": journal.status,
        "revision": journal.revision,
        "data": [_turn(record, journal, [one for one in broken if one.turn == record.turn]) for record in models],
        "steps": _steps(journal, after, next_page),
        "messages": _messages(journal, after, next_page),
        "broken_calls": []
        if next_page
        else [_broken_call(one) for one in broken if one.turn > _turns(journal.records)],
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


def _turns(records: Sequence[Record]) -> int:
    return max((one.turn for one in records if isinstance(one, ModelRecord)), default=0)


def _own_broken_calls(journal: Journal) -> list[BrokenRecord]:
    """Oldest first. What another job has called for a turn that it did not get is shown there, and was paid there."""
    copied = journal.records[: journal.inherited]
    known = _turns(copied)
    mine = [one for one in copied if one.turn <= known] + journal.records[journal.inherited :]
    return [one for one in mine if isinstance(one, BrokenRecord)]


def _broken_call(record: BrokenRecord) -> dict[str, Any]:
    return {
        "object": "broken_call",
        "turn": record.turn,
        "target": record.target,
        "model": record.model,
        "why": record.why,
        "usage": record.usage.as_json(),
    }


def _turn(record: ModelRecord, journal: Journal, broken: Sequence[BrokenRecord]) -> dict[str, Any]:
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
        "usage": sum((one.usage for one in broken), record.usage).as_json() | {"tool_calls": len(receipts)},
        "broken_calls": [_broken_call(one) for one in broken],
        "tool_calls": calls,
    }


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
