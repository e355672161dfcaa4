"""The persons of a test: what they say when they are asked about a tool call or a step."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.action import ANSWERS, ActionKind, Answer, Decision, DecisionRecord
from worker.next_step import Question

Said = str | Mapping[str, Any]
"""A decision such as "approve", or the body with which the api takes one: `decision`, `input`, `comment`,
`result`."""
Decisions = Mapping[str, Said | Sequence[Said]]
"""By the name of the tool or step. Of several the first that fits the question counts: "approve" to one, "done" to
another."""


class Persons:
    """Each question is answered once: who is asked the same again, because an edited input does not fit, is silent."""

    def __init__(self, decisions: Decisions, tools: Iterable[str] | None) -> None:
        """`tools` are all that may be asked about; None when that is not known, as with steps. Raises ValueError for a
        tool or a decision there is not."""
        if tools is not None and (unknown := sorted(set(decisions) - set(tools))):
            raise ValueError(f"decisions: the agent has no tool {', '.join(unknown)}")
        self._answers = {tool: _answers(said) for tool, said in decisions.items()}
        self._asked: set[tuple[str, ActionKind]] = set()

    def decide(self, questions: Sequence[Question]) -> list[DecisionRecord] | None:
        """What is said to all of them; None as long as one is open, since then the job waits."""
        answers = [self._answer(one) for one in questions]
        if None in answers:
            return None
        self._asked |= {(one.call.id, one.kind) for one in questions}
        return [
            DecisionRecord.of(one.call.turn, one.call.id, answer)
            for one, answer in zip(questions, answers, strict=True)
            if answer
        ]

    def _answer(self, question: Question) -> Answer | None:
        if (question.call.id, question.kind) in self._asked:
            return None
        fitting = (*ANSWERS[question.kind], Decision.EXPIRED)
        said = self._answers.get(question.call.name, [])
        return next((answer for answer in said if answer.decision in fitting), None)


def _answers(said: Said | Sequence[Said]) -> list[Answer]:
    several = [said] if isinstance(said, str | Mapping) else said
    return [_one({"decision": one} if isinstance(one, str) else one) for one in several]


def _one(body: Mapping[str, Any]) -> Answer:
    return Answer(**{**body, "decision": Decision(body["decision"])})
