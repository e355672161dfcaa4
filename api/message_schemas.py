"""What is said to a job, as `/docs` shows it and as it is sent."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.clock import rfc3339
from shared.message import LONGEST_MESSAGE, Message, MessageRecord


def _says_something(given: str) -> str:
    if not given.strip():
        raise ValueError("must not be blank")
    return given


Content = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_MESSAGE, examples=["Leave the invoices of 2025 alone."]),
    AfterValidator(_says_something),
]


class MessageRequest(BaseModel):
    """What you say to the job. The agent is given it as a message of the user's, before its next turn."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    content: Content


class MessageResource(BaseModel):
    """A message to a job, which is not lost any more."""

    id: str = Field(examples=["mail_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1f"])
    object: Literal["message"]
    job_id: str
    content: str
    created_at: str


class TurnMessageResource(BaseModel):
    """What somebody said to the job, and when it was heard."""

    id: str
    object: Literal["message"]
    content: str
    created_at: str
    after_turn: int | None = Field(
        description="It is part of what the turn after this one was asked; null while it waits to be heard."
    )


def message_resource(job_id: str, message: Message) -> dict[str, Any]:
    """The message as `MessageResource` describes it."""
    about = {"id": message.id, "object": "message", "job_id": job_id}
    return about | {"content": message.content, "created_at": rfc3339(message.at_ms)}


def turn_message(message: Message | MessageRecord) -> dict[str, Any]:
    """The message as `TurnMessageResource` describes it."""
    return {
        "id": message.id,
        "object": "message",
        "content": message.content,
        "created_at": rfc3339(message.at_ms),
        "after_turn": message.turn if isinstance(message, MessageRecord) else None,
    }
