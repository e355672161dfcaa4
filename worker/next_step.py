"""What is to become of a tool call: it runs, it is looked after, a person is asked, or the model is told something."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from shared.action import ActionKind, Decision
from shared.turn import ToolCall
from worker.tool_runner import ToolOutcome, cut, needs_approval, refusal
from worker.tools import Tool

LONGEST_EDIT = 4_000
"""Characters of an edited input that the model is told: as what tools say, they are paid for in each turn."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a person has to say before the job can go on; `note` is what he should know beside the call. A step is no
    tool that would be known by its name, so its `effect` is said here."""

    call: ToolCall
    kind: ActionKind
    note: str | None = None
    effect: str = ""


class Step(StrEnum):
    RUN = "run"
    CHECK = "check"
    """It was begun and must not run twice: has it happened?"""


def next_step(tools: Mapping[str, Tool], call: ToolCall) -> Step | Question | ToolOutcome:
    if told := _as_decided(call):
        return told
    tool = tools.get(call.name)
    if call.started and not (tool and tool.effect.repeatable):
        return Step.CHECK
    refused = refusal(tools, call)
    if refused and tool and call.edited:  # a person's mistake is for a person to mend
        return Question(call, ActionKind.APPROVAL, refused.content)
    if refused:
        return refused
    if tool and call.permission is None and needs_approval(tool, call):
        return Question(call, ActionKind.APPROVAL)
    return Step.RUN


def after_check(call: ToolCall, happened: bool | str | None) -> Step | Question | ToolOutcome:
    """What follows from what a tool's `verify` has said of a call whose worker died."""
    match happened:
        case None:
            return Question(call, ActionKind.OUTCOME, "The process that ran it stopped before it could report.")
        case False:
            return Step.RUN
    return _happened(happened)


def after_lateness(
    tool: Tool, call: ToolCall, late: ToolOutcome, happened: bool | str | None
) -> Question | ToolOutcome:
    """The same of one that did not answer in time. A thread cannot be stopped: what it has not done it may yet do."""
    if happened is None or (happened is False and not tool.is_async):
        return Question(call, ActionKind.OUTCOME, late.content)
    if happened is False:
        return replace(late, content=f"{late.content} It was stopped, and has not happened.", unknown=False)
    return replace(_happened(happened), milliseconds=late.milliseconds)


def _happened(said: Literal[True] | str) -> ToolOutcome:
    lost = "It has happened, as was found out afterwards; what it said is lost."
    return ToolOutcome(lost if said is True else said, is_error=False)


def introduced(call: ToolCall, outcome: ToolOutcome) -> ToolOutcome:
    """What the tool said, with what a person had to do with it before."""
    permission = call.permission
    if permission is None:
        return outcome
    said = ""
    if call.edited:
        said = f"A person changed the input to {_brief(call.input)} before it ran."
    if permission.comment:
        said += f"{' ' if said else 'A person allowed it. '}Comment: {permission.comment}"
    return replace(outcome, content=f"[{said}]\n{outcome.content}") if said else outcome


def _as_decided(call: ToolCall) -> ToolOutcome | None:
    """What the model is told of a decision that leaves nothing to do."""
    decided = call.decided
    if decided is None:
        return None
    comment = f" Comment: {decided.comment}" if decided.comment else ""
    match decided.decision:
        case Decision.DENY:
            return ToolOutcome(f"A person denied this call; it was not run.{comment}", is_error=True)
        case Decision.DONE:
            said = "A person has checked that this call happened"
            if decided.result is None:
                return ToolOutcome(f"{said}; what it said is lost.{comment}", is_error=False)
            return ToolOutcome(cut(f"{said}.{comment} What it said: {_text(decided.result)}"), is_error=False)
        case Decision.EXPIRED if call.begun:
            return ToolOutcome(
                "The outcome of this call is unknown: it was begun, and nobody has said in time whether it happened. "
                "It was not run again. Have a person check before anything is repeated.",
                is_error=True,
            )
        case Decision.EXPIRED:
            return ToolOutcome(
                "This call needs a person's approval, and nobody decided in time (it expired; it was not denied). "
                "It was not run.",
                is_error=True,
            )
    return None


def _brief(given: dict[str, Any]) -> str:
    text = json.dumps(given, ensure_ascii=False)
    return text if len(text) <= LONGEST_EDIT else f"{text[:LONGEST_EDIT]}… (cut off here)"


def _text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
