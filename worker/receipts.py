"""Receipts of tool calls that a custom agent runs by itself: what became of them is what it tells the model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.turn import ModelRecord, ResultRecord, Transcript
from worker.tool_runner import cut


def receipts(transcript: Transcript, messages: Sequence[Any]) -> list[ResultRecord]:
    """Of the tool results in `messages` those that answer a call in the transcript which has no receipt yet."""
    open_calls = _open_calls(transcript)
    found = {}
    for block in _blocks(messages):
        call = open_calls.get(str(block.get("tool_use_id")))
        if block.get("type") == "tool_result" and call:
            turn, id, name = call
            text, is_error = cut(_text(block.get("content"))), bool(block.get("is_error"))
            found[id] = ResultRecord(turn, id, name, text, is_error, milliseconds=0)
    return list(found.values())


def _open_calls(transcript: Transcript) -> dict[str, tuple[int, str, str]]:
    """By its id: the turn, the id and the name of each call."""
    answered = {record.tool_use_id for record in transcript.records if isinstance(record, ResultRecord)}
    return {
        block["id"]: (record.turn, block["id"], block["name"])
        for record in transcript.records
        if isinstance(record, ModelRecord)
        for block in record.content
        if block["type"] == "tool_use" and block["id"] not in answered
    }


def _blocks(messages: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else None
        for block in content if isinstance(content, list) else []:
            if isinstance(block, Mapping):
                yield block


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content if isinstance(block, Mapping))
    return "" if content is None else str(content)
