"""Actions, the words: a question to a person about one tool call or step of a job, and what can become of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar

from shared.stored import build, writable


class ActionKind(StrEnum):
    """What a person is asked."""

    APPROVAL = "approval"
    """May it run?"""
    OUTCOME = "outcome"
    """Did it happen? It was begun, must not run twice, and nobody has heard how it ended."""


class Decision(StrEnum):
    """What a person said, or what stands for it."""

    APPROVE = "approve"
    DENY = "deny"
    EDIT = "edit"
    """It may run, with another input."""
    DONE = "done"
    NOT_DONE = "not_done"
    """It may run again, under the same idempotency key."""
    EXPIRED = "expired"
    """Nobody said anything in time."""
    WITHDRAWN = "withdrawn"
    """The job ended before anybody said anything."""


ANSWERS: dict[ActionKind, tuple[Decision, ...]] = {
    ActionKind.APPROVAL: (Decision.APPROVE, Decision.DENY, Decision.EDIT),
    ActionKind.OUTCOME: (Decision.DONE, Decision.NOT_DONE),
}
"""What a person may say to which question."""

LONGEST_COMMENT = 2000


class ActionStatus(StrEnum):
    PENDING = "pending"
    DECIDED = "decided"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a worker asks it. `input` is what would be run; `input_schema` what an edited one must fit; `note`
    what a person should know beside that. Of a custom agent's step `tool` is the name, `tool_call_id` its mark's id."""

    id: str
    job_id: str
    agent: str
    kind: ActionKind
    turn: int
    tool_call_id: str
    tool: str
    effect: str
    input: dict[str, Any]
    input_schema: dict[str, Any]
    note: str | None = None

    def to_json(self) -> str:
        return _text(asdict(self))

    def brief(self) -> dict[str, Any]:
        """What may be told to whoever hears of the job: not what is in the call."""
        return {
            "action_id": self.id,
            "kind": self.kind,
            "turn": self.turn,
            "tool_call_id": self.tool_call_id,
            "tool": self.tool,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision with what belongs to it: the `input` of an edit, a comment that the model is told, and as `result`
    what was found of something done, JSON."""

    decision: Decision
    input: dict[str, Any] | None = None
    comment: str | None = None
    result: Any = None

    def to_json(self) -> str:
        return _text(asdict(self))


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What a person decided about a tool call or a step; written by the decision itself, while no worker has the job.
    `input` and `result` are those of the answer."""

    kind: ClassVar[str] = "decision"
    turn: int
    tool_use_id: str
    decision: Decision
    input: dict[str, Any] | None = None
    comment: str | None = None
    result: Any = None

    @classmethod
    def of(cls, turn: int, tool_use_id: str, answer: Answer) -> "DecisionRecord":
        return cls(turn, tool_use_id, answer.decision, answer.input, answer.comment, answer.result)


@dataclass(frozen=True, slots=True)
class Action:
    """A question as it is kept, and its answer once there is one. Times are Redis TIME in milliseconds."""

    asked: Asked
    asked_ms: int
    expires_ms: int
    answer: Answer | None = None
    decided_ms: int | None = None

    @property
    def status(self) -> ActionStatus:
        match self.answer:
            case None:
                return ActionStatus.PENDING
            case Answer(Decision.EXPIRED):
                return ActionStatus.EXPIRED
            case Answer(Decision.WITHDRAWN):
                return ActionStatus.WITHDRAWN
        return ActionStatus.DECIDED

    @classmethod
    def stored(cls, question: Mapping[str, Any], answer: Mapping[str, Any] | None = None) -> "Action":
        """From the two JSON objects that are kept of it (`shared/lua/job_actions.lua`)."""
        return cls(
            asked=build(Asked, {**question, "kind": ActionKind(question["kind"])}),
            asked_ms=question["asked_ms"],
            expires_ms=question["expires_ms"],
            answer=build(Answer, {**answer, "decision": Decision(answer["decision"])}) if answer else None,
            decided_ms=answer["decided_ms"] if answer else None,
        )


def _text(fields: Mapping[str, Any]) -> str:
    return writable(json.dumps(fields, separators=(",", ":"), ensure_ascii=False))
