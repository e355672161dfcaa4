"""What became of a job in a test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from local.testing.replies import Messages
from shared.action import Asked
from shared.job import IncompleteReason, JobError
from shared.queue import Conclusion
from shared.states import TRANSITIONS, Status
from shared.step import StepRecord
from shared.turn import ResultRecord, Transcript, TurnCall
from shared.usage import Usage
from worker.provider import ModelRequest


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call of the model, with what it was told of it; `result` is None when it was told nothing yet."""

    name: str
    input: dict[str, Any]
    result: str | None
    is_error: bool


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step of a custom agent; `error` is '' when it did not fail."""

    name: str
    result: Any
    error: str


@dataclass(frozen=True, slots=True)
class Result:
    """`status` as in `GET /v1/jobs/{id}`: succeeded, incomplete, failed or requires_action."""

    status: Status
    output: str | None
    error: JobError | None
    """Why it failed: `type`, `code` and `message`."""
    incomplete_reason: IncompleteReason | None
    """Which limit stopped it; `incomplete_message` says more."""
    incomplete_message: str
    turns: int
    tool_calls: list[ToolUse]
    steps: list[StepDone]
    actions: list[Asked]
    """What the job waits for, if it does: `kind`, `tool`, `input` and `note` of each question."""
    usage: Usage = field(repr=False)
    """Tokens as the simulated provider counts them, and `cost_nano`, of which its prompt cache would save some."""
    requests: list[ModelRequest] = field(repr=False)
    """What the model was asked, call by call: `system`, `messages`, `tools`, `max_tokens`."""
    records: int
    """How many are in the journal: `crash_after` may be as many."""

    @property
    def messages(self) -> Messages:
        """What the model was sent last: of a declared agent the whole conversation but for its last answer."""
        return self.requests[-1].messages if self.requests else []


def ended(transcript: Transcript, conclusion: Conclusion, requests: Sequence[ModelRequest]) -> Result:
    status = TRANSITIONS[Status.RUNNING][conclusion.event]
    return _result(transcript, status, conclusion, (), requests)


def waiting(transcript: Transcript, asked: Sequence[Asked], requests: Sequence[ModelRequest]) -> Result:
    return _result(transcript, Status.REQUIRES_ACTION, None, asked, requests)


def _result(
    transcript: Transcript,
    status: Status,
    conclusion: Conclusion | None,
    asked: Sequence[Asked],
    requests: Sequence[ModelRequest],
) -> Result:
    return Result(
        status=status,
        output=(conclusion.output or None) if conclusion else None,
        error=conclusion.error if conclusion else None,
        incomplete_reason=conclusion.incomplete if conclusion else None,
        incomplete_message=conclusion.message if conclusion else "",
        turns=transcript.turns,
        tool_calls=[_used(one) for turn in transcript.calls_of_turns(transcript.turns) for one in turn],
        steps=[
            StepDone(record.mark.name, record.result, record.error)
            for record in transcript.records
            if isinstance(record, StepRecord)
        ],
        actions=list(asked),
        usage=transcript.usage + Usage(tool_calls=sum(isinstance(one, ResultRecord) for one in transcript.records)),
        requests=list(requests),
        records=len(transcript),
    )


def _used(one: TurnCall) -> ToolUse:
    result = one.result
    return ToolUse(one.name, one.input, result.content if result else None, result.is_error if result else False)
