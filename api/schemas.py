"""The bodies of requests and answers, as `/docs` shows them."""

import math
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from api.action_schemas import ActionResource
from api.parsed_body import parsed
from api.session_schemas import OnConflict, SessionId
from api.webhook_schemas import WebhookRequest
from shared.clock import from_rfc3339
from shared.job import IncompleteReason, Schedule, WaitReason
from shared.states import Status

MAX_TOKENS = 1_000_000_000
LONGEST_SPAN_SECONDS = 31_536_000
"""A year: how far ahead a job can be scheduled."""
KEY_PATTERN = r"^[A-Za-z0-9_.:-]{1,255}$"
"""An Idempotency-Key."""


def _dollars(text: str) -> str:
    if Decimal(text) <= 0:
        raise ValueError("must be more than 0")
    return text


def _moment(text: str) -> str:
    """A time that has a zone and can be stored."""
    try:
        if from_rfc3339(text) > 0:
            return text
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a time after 1970 with its zone, such as 2026-01-31T12:00:00Z")


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else math.ceil(seconds * 1000)


Moment = Annotated[str, Field(max_length=40, examples=["2026-01-31T12:00:00Z"]), AfterValidator(_moment)]
Span = Annotated[float, Field(gt=0, le=LONGEST_SPAN_SECONDS)]
Dollars = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6})?$", examples=["0.50"]), AfterValidator(_dollars)]
Count = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BudgetRequest(_Strict):
    """Limits for this job; none may be above the agent's own."""

    max_turns: Count | None = None
    max_tokens: Count | None = None
    max_cost_usd: Dollars | None = None
    max_seconds: Count | None = None


class Message(_Strict):
    """A message of the Messages API."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(min_length=1)] | Annotated[list[dict[str, Any]], Field(min_length=1, fail_fast=True)]

    @field_validator("content")
    @classmethod
    def _typed(cls, content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        if isinstance(content, str) and not content.strip():
            raise ValueError("content must not be blank")
        for block in content if isinstance(content, list) else []:
            if not isinstance(block.get("type"), str):
                raise ValueError("each content block needs a type")
            if block["type"] == "text" and not (isinstance(block.get("text"), str) and block["text"].strip()):
                raise ValueError("a text block needs a text that is not empty")
        return content


class JobRequest(_Strict):
    """What to do: an agent and its input."""

    agent: Annotated[str, Field(min_length=1, max_length=64, examples=["assistant"])]
    input: Annotated[str, Field(min_length=1)] | Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    priority: Literal["high", "standard", "low"] = "standard"
    session_id: SessionId | None = None
    on_conflict: OnConflict = "enqueue"
    budget: BudgetRequest = BudgetRequest()
    metadata: Metadata = {}
    run_at: Annotated[Moment | None, Field(description="Start at this time at the earliest (RFC 3339).")] = None
    delay_seconds: Annotated[Span | None, Field(description="Start so much later at the earliest.")] = None
    ttl_seconds: Annotated[Span | None, Field(description="Expire when it has not started so long after now.")] = None
    deadline_at: Annotated[
        Moment | None,
        Field(description="Expire when it has not started by then; stop it, with what it has, when it still runs."),
    ] = None
    webhook: WebhookRequest | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.run_at is not None and self.delay_seconds is not None:
            raise ValueError("run_at and delay_seconds cannot both be given")
        if self.delay_seconds is not None and self.ttl_seconds is not None and self.delay_seconds >= self.ttl_seconds:
            raise ValueError("ttl_seconds must be more than delay_seconds: both count from now")
        if self.run_at and self.deadline_at and from_rfc3339(self.run_at) >= from_rfc3339(self.deadline_at):
            raise ValueError("deadline_at must be after run_at")
        return self

    @model_validator(mode="after")
    def _of_a_session(self) -> Self:
        if self.on_conflict == "reject" and self.session_id is None:
            raise ValueError("on_conflict needs a session_id: without one there is no conflict")
        if self.on_conflict == "reject" and (self.run_at or self.delay_seconds):
            raise ValueError("on_conflict cannot be reject for a job for later: nobody knows now who is busy then")
        return self

    def schedule(self) -> Schedule:
        return Schedule(
            run_at_ms=from_rfc3339(self.run_at) if self.run_at else None,
            delay_ms=_milliseconds(self.delay_seconds),
            ttl_ms=_milliseconds(self.ttl_seconds),
            deadline_ms=from_rfc3339(self.deadline_at) if self.deadline_at else None,
        )

    @field_validator("input")
    @classmethod
    def _conversation(cls, given: str | list[Message]) -> str | list[Message]:
        if isinstance(given, str):
            if not given.strip():
                raise ValueError("input must not be blank")
        elif given[0].role != "user" or given[-1].role != "user":
            raise ValueError("the first and the last message of input must be the user's")
        return given


def parse_job_request(value: Any) -> JobRequest:
    """The request in a parsed body. Raises Problem that names every wrong field."""
    return parsed(JobRequest, value)


class UsageResource(BaseModel):
    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    model_calls: int
    turns: int
    tool_calls: int
    cost_usd: str = Field(examples=["0.001230"])


class BudgetResource(BaseModel):
    max_turns: int | None
    max_tokens: int | None
    max_cost_usd: str | None
    max_seconds: int | None


class ModelResource(BaseModel):
    """`requested` is the agent's chain, `served` the model that answered last: of the first target, or of one that
    stood in for it (`fallback`), or of the second on purpose (`drill`)."""

    requested: str
    served: str | None
    fallback: bool
    drill: bool


class QueueResource(BaseModel):
    """The place of a waiting job: 1 is next."""

    position: int
    depth: int
    estimated_start_at: str | None


class ErrorResource(BaseModel):
    type: str
    code: str
    message: str
    retryable: bool


class IncompleteResource(BaseModel):
    """Which limit ended the job, and what there is to say of it."""

    reason: IncompleteReason
    message: str | None = Field(
        examples=[
            'clock({"timezone":"UTC"}): 5 times in a row, and nothing new came of it. '
            "The job has cost 0.012345 dollars in 5 turns."
        ]
    )


class OriginResource(BaseModel):
    """The job that it goes on from, and the last turn that it has in common with it. What that turn and those before it
    cost, and the tool calls in them, are in `/turns` and not in `usage`, and no limit of `budget` counts them."""

    job_id: str
    turn: int = Field(description="0 when that job had no turn yet.")


class JobLinks(BaseModel):
    self: str
    events: str
    cancel: str


class JobResource(BaseModel):
    """A job. Times are RFC 3339 UTC, money is decimal strings."""

    id: str = Field(examples=["job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"])
    object: Literal["job"]
    agent: str
    status: Status
    wait_reason: WaitReason | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    next_attempt_at: str | None
    expires_at: str | None
    deadline_at: str | None
    priority: Literal["high", "standard", "low"]
    session_id: str | None
    forked_from: OriginResource | None
    input: str | list[dict[str, Any]]
    output: str | None
    error: ErrorResource | None
    incomplete_details: IncompleteResource | None
    required_actions: list[ActionResource]
    usage: UsageResource
    estimated_cost_usd: str | None = Field(
        description="What the whole job is likely to cost: the median of its agent's last jobs, or its own limit if "
        "that is less. null while nothing is known of them, and once it has finished: `usage` has what it did cost.",
        examples=["0.012000"],
    )
    budget: BudgetResource
    model: ModelResource
    queue: QueueResource | None
    attempt: int
    metadata: dict[str, str]
    revision: int
    links: JobLinks


class JobList(BaseModel):
    object: Literal["list"]
    data: list[JobResource]
    has_more: bool
    first_id: str | None
    last_id: str | None


class Health(BaseModel):
    status: str
    checks: dict[str, str] = {}
