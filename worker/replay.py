"""Which recorded result belongs to which call of a custom agent's function. Knows nothing of Redis or of time.

Each attempt runs the function from its top. Its calls of the context are told apart by their name: the n-th call of a
name gets the n-th result that was recorded under it, so branches that run beside each other may finish in any order.
What a call asks for has a fingerprint; a result of something else is not handed out.

As long as the function does one thing after the other, the order of all calls is known as well, and a call that comes
in another's place is noticed before anything is spent on it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from shared.action import DecisionRecord
from shared.step import Mark, StepIntentRecord, StepRecord
from shared.turn import ModelRecord, Record

MODEL, STEP = "model call", "step"
"""The kinds of calls; each has its own names."""

_REMEDY = (
    "The code that runs is not the code that began this job, or it does not do the same each time. Let the worker that "
    "began it finish it, or submit the job again."
)

Key = tuple[str, str, int]


class AgentChanged(Exception):
    """The journal does not fit the function that is to go on from it."""


class Replay:
    def __init__(self, records: Sequence[Record]) -> None:
        self._answers: dict[Key, ModelRecord | StepRecord] = {}
        self._intents: dict[Key, StepIntentRecord] = {}
        self._decisions: dict[str, DecisionRecord] = {}
        self._by_order: dict[int, Key] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._calls = 0
        self._in_order = True
        for record in records:
            self._remember(record)
        self._not_asked_for = set(self._answers) | set(self._intents)

    def _remember(self, record: Record) -> None:
        if isinstance(record, DecisionRecord):
            self._decisions[record.tool_use_id] = record
        if not isinstance(record, ModelRecord | StepRecord | StepIntentRecord) or record.mark is None:
            return
        key = _key(MODEL if isinstance(record, ModelRecord) else STEP, record.mark)
        if record.mark.order:
            self._by_order[record.mark.order] = key
        if isinstance(record, StepIntentRecord):
            self._intents[key] = record
            self._decisions.pop(record.mark.id, None)  # it was carried out
        else:
            self._answers[key] = record

    def count(self, kind: str, name: str) -> int:
        """How many calls of this name there were in this attempt."""
        return self._counts[kind, name]

    def key(self, name: str) -> str:
        """The idempotency key under which the next step of this name was begun before; '' for none."""
        key = (STEP, name, self.count(STEP, name) + 1)
        recorded = self._answers.get(key) or self._intents.get(key)
        return recorded.key if isinstance(recorded, StepRecord | StepIntentRecord) else ""

    def mark(self, kind: str, name: str, asked: str, *, alone: bool) -> Mark:
        """The mark of a call that is made now; `alone` when it is the function's own task that makes it."""
        self._counts[kind, name] += 1
        self._calls += 1
        self._in_order = self._in_order and alone
        return Mark(name, self._counts[kind, name], asked, self._calls if self._in_order else 0)

    def answer(self, kind: str, mark: Mark) -> ModelRecord | StepRecord | None:
        """What is recorded for this call, None for a new one. Raises AgentChanged."""
        key = _key(kind, mark)
        expected = self._by_order.get(mark.order, key)
        if expected != key:
            raise AgentChanged(
                f"The agent asks for {kind} {mark}, where {_shown(expected)} is in its journal. {_REMEDY}"
            )
        self._not_asked_for.discard(key)
        recorded = self._answers.get(key)
        for one in (recorded, self._intents.get(key)):
            if one is not None and one.mark is not None and not _same(one.mark.asked, mark.asked):
                raise AgentChanged(f"The agent asks for {kind} {mark} with other arguments than before. {_REMEDY}")
        return recorded

    def begun(self, mark: Mark) -> bool:
        """Whether the intent of this step is in the journal."""
        return _key(STEP, mark) in self._intents

    def decided(self, mark: Mark) -> DecisionRecord | None:
        """What a person has said of this step since it was begun."""
        return self._decisions.get(mark.id)

    def close(self) -> list[str]:
        """What the function, which has returned, did not ask for although it is recorded. Raises AgentChanged if it
        did one thing after the other, and so must have asked."""
        left = sorted(self._not_asked_for)
        if left and self._in_order and any(order > self._calls for order in self._by_order):
            raise AgentChanged(f"The agent has ended without {_shown(left[0])}, which is in its journal. {_REMEDY}")
        return [_shown(key) for key in left]


def fingerprint(*asked: Any) -> str:
    """Of what a call asks for. What is no JSON counts by its type alone, since in another process it is another
    object; '' when nothing can be told."""
    try:
        text = json.dumps(asked, sort_keys=True, ensure_ascii=True, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, set | frozenset):  # in no order, and each process has its own
        return sorted(repr(one) for one in value)
    return type(value).__qualname__


def _key(kind: str, mark: Mark) -> Key:
    return kind, mark.name, mark.number


def _same(before: str, now: str) -> bool:
    return before == now or not before or not now


def _shown(key: Key) -> str:
    kind, name, number = key
    return f"{kind} {Mark(name, number, '', 0)}"
