"""What a session remembers: its jobs that have ended, each as what it was asked and what it did.

`job_ending.lua` writes it down, from the job's own record and journal, however the job ended. Here it is read as a
conversation that a provider accepts: whatever a job was stopped in the middle of is closed or left out, and what a
provider has not taken never comes back.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from shared.journal import from_json
from shared.origin import Origin
from shared.states import Status
from shared.turn import ModelRecord, Record, ResultRecord, Transcript

Message = dict[str, Any]

_NO_RECEIPT = "The job ended before this tool had answered; whether it did anything is unknown."
_NOT_KEPT = "This tool ran, but then the job failed, and what it answered was not kept."


@dataclass(frozen=True, slots=True)
class Exchange:
    """A job as its session remembers it. One without records was too long for that: only its `output` is left."""

    job_id: str
    status: Status
    finished_ms: int
    input: str | list[Message]
    output: str
    records: list[Record]
    lineage: tuple[str, ...] = ()
    """The jobs that it was forked from, whose turns its records begin with."""

    @classmethod
    def from_json(cls, text: str) -> "Exchange":
        """Raises KeyError, TypeError or ValueError for what another version wrote."""
        fields = json.loads(text)
        return cls(
            job_id=fields["job_id"],
            status=Status(fields["status"]),
            finished_ms=fields["finished_ms"],
            input=fields["spec"]["input"],
            output=fields["output"],
            records=[from_json(json.dumps(record)) for record in fields["records"]],
            lineage=tuple((fields["spec"].get("forked_from") or {}).get("lineage", ())),
        )

    @property
    def turns(self) -> int:
        return sum(isinstance(record, ModelRecord) for record in self.records)

    def messages(self, target: str | None = None, *, with_tools: bool = True) -> list[Message]:
        """Its part of the conversation, as `target` may be asked (see `Transcript.messages`), which ends with an answer
        or with results of tools; nothing of a job that said nothing.

        `with_tools` is whether the agent that asks has tools: some providers let no other be told of tool calls, so it
        is told what was asked and what was answered. Of a custom agent's job nothing else is known: it alone knows
        what its model calls were about.
        """
        opening = Transcript(self.input, []).messages()
        if not self.turns or self._custom or not (with_tools or self._without_tools):
            text = self.output or Transcript("", self.records).text
            return [*opening, {"role": "assistant", "content": text}] if text.strip() else []
        told = Transcript(self.input, _closed(self.records, failed=self.status == Status.FAILED)).messages(target)
        return told if len(told) > len(opening) else []

    @property
    def _custom(self) -> bool:
        return any(getattr(record, "mark", None) for record in self.records)

    @property
    def _without_tools(self) -> bool:
        return not any(isinstance(record, ModelRecord) and record.calls_tools for record in self.records)


def conversation(exchanges: Sequence[Exchange], target: str | None = None, *, with_tools: bool = True) -> list[Message]:
    """All of them, the oldest first: it begins with a message of the user's, and each tool call has its result."""
    forked = {job_id for one in exchanges for job_id in one.lineage}  # what went on from it has it in it
    told = (one for one in exchanges if one.job_id not in forked)
    return [message for one in told for message in one.messages(target, with_tools=with_tools)]


def before(exchanges: Sequence[Exchange], origin: Origin | None) -> list[Exchange]:
    """What a job is told of its session: of one that is forked, what the first of those that it descends from was."""
    return list(takewhile(lambda one: origin is None or one.job_id not in origin.lineage, exchanges))


def _closed(records: Sequence[Record], *, failed: bool) -> list[Record]:
    """A journal as far as its last answer, with a result for each tool call of that. A call that was cut off in the
    model's answer is left out, and of a job that `failed` the last results, which may be what made it fail."""
    last, model = [(i, record) for i, record in enumerate(records) if isinstance(record, ModelRecord)][-1]
    if not model.calls_tools:
        said = [block for block in model.content if block["type"] != "tool_use"]
        return [*records[:last], replace(model, content=said)]
    receipts = {record.tool_use_id: record for record in records[last:] if isinstance(record, ResultRecord)}
    calls = [block for block in model.content if block["type"] == "tool_use"]
    results = [_result(model.turn, block, receipts.get(block["id"]), failed) for block in calls]
    return [*records[: last + 1], *results]


def _result(turn: int, call: dict[str, Any], receipt: ResultRecord | None, failed: bool) -> ResultRecord:
    if receipt and not failed:
        return receipt
    return ResultRecord(turn, call["id"], call["name"], _NOT_KEPT if receipt else _NO_RECEIPT, True, 0)
