"""The lines of a journal: each record as one JSON object, and back."""

import json
from dataclasses import asdict

from shared.action import Decision, DecisionRecord
from shared.message import MessageRecord
from shared.step import StepIntentRecord, StepRecord, marked
from shared.stored import build, writable
from shared.turn import BrokenRecord, IntentRecord, ModelRecord, Record, ResultRecord, ServedAs
from shared.usage import Usage


def to_json(record: Record) -> str:
    fields = asdict(record) | {"kind": record.kind}
    return writable(json.dumps(fields, separators=(",", ":"), ensure_ascii=False))


def from_json(text: str) -> Record:
    fields = json.loads(text)
    kind = fields.pop("kind")
    if kind == ModelRecord.kind:
        return build(
            ModelRecord,
            marked(fields)
            | {"usage": build(Usage, fields["usage"]), "served_as": ServedAs(fields.get("served_as", ServedAs.FIRST))},
        )
    if kind == BrokenRecord.kind:
        return build(BrokenRecord, fields | {"usage": build(Usage, fields["usage"])})
    if kind == IntentRecord.kind:
        return build(IntentRecord, fields)
    if kind == StepIntentRecord.kind:
        return build(StepIntentRecord, marked(fields))
    if kind == StepRecord.kind:
        return build(StepRecord, marked(fields))
    if kind == MessageRecord.kind:
        return build(MessageRecord, fields)
    if kind == DecisionRecord.kind:
        return build(DecisionRecord, fields | {"decision": Decision(fields["decision"])})
    return build(ResultRecord, fields)
