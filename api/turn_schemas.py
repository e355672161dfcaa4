"""The bodies of `GET /v1/jobs/{id}/turns`."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.message_schemas import TurnMessageResource
from api.schemas import UsageResource
from shared.action import Decision
from shared.states import Status
from shared.turn import ServedAs

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


class BrokenCallResource(BaseModel):
    """A call of the model whose answer broke off, or that nobody waited for any more: paid for, and no turn."""

    object: Literal["broken_call"]
    turn: int = Field(description="Which turn it was to become.")
    target: str = Field(description="The target of the chain that was asked.", examples=["sonnet"])
    model: str = Field(examples=["claude-sonnet-4-6"])
    why: str = Field(
        description="The provider's error type; `cancelled` when nobody waited any more: a cancel, a deadline, a "
        "worker that had to leave.",
        examples=["overloaded_error"],
    )
    usage: UsageResource = Field(description="As far as the answer had come.")


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
    usage: UsageResource = Field(description="With that of its `broken_calls`.")
    broken_calls: list[BrokenCallResource] = Field(description="Those that were made before it and broke off.")
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
    page. The usage of all turns and of `broken_calls` is that of the job; of a fork, that of its own turns."""

    object: Literal["list"]
    job_id: str
    status: Status
    revision: int
    data: list[TurnResource]
    steps: list[StepResource]
    messages: list[TurnMessageResource]
    broken_calls: list[BrokenCallResource] = Field(
        description="Those that broke off since the job's last turn, on the last page: no turn has followed them yet."
    )
    has_more: bool
    first_id: int | None = Field(description="The number of the first turn of this page.")
    last_id: int | None
