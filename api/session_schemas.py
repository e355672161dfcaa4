"""A session from outside: what a submit says of it, and the body of `GET /v1/sessions/{id}`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from shared.clock import rfc3339
from shared.history import conversation
from shared.ids import SESSION_ID
from shared.sessions import SessionView
from shared.states import Status

SessionId = Annotated[
    str,
    Field(
        pattern=f"^{SESSION_ID}$",
        description="The conversation it belongs to: it knows what was asked and answered there before. Of a session "
        "one job is live at a time, in the order in which they came.",
        examples=["chat-17"],
    ),
]
OnConflict = Annotated[
    Literal["enqueue", "reject"],
    Field(
        description="When another job of the session has not finished: wait for its turn, or be answered 409 "
        "`session_busy`. A job for later waits until it is due, and then for its turn."
    ),
]


class SessionJob(BaseModel):
    id: str = Field(examples=["job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"])
    status: Status


class SessionLinks(BaseModel):
    self: str
    jobs: str = Field(description="All of its jobs, newest first, those included that are scheduled or forgotten.")


class SessionResource(BaseModel):
    """What the jobs of a conversation know of each other."""

    id: str = Field(examples=["chat-17"])
    object: Literal["session"]
    live_job: SessionJob | None = Field(description="The one that runs, or goes before all others.")
    waiting: int = Field(description="How many jobs wait for it.")
    jobs: list[SessionJob] = Field(description="Those that are remembered, the oldest first.")
    turns: int = Field(description="How many answers of the model are remembered.")
    messages: list[dict[str, Any]] = Field(
        description="The conversation as the next job begins with it, in messages of the Messages API."
    )
    expires_at: str | None = Field(description="When it is forgotten if no other job comes; null while one is live.")
    links: SessionLinks


def session_resource(session_id: str, session: SessionView) -> dict[str, Any]:
    """The session as `SessionResource` describes it."""
    live = session.live
    return {
        "id": session_id,
        "object": "session",
        "live_job": {"id": live[0], "status": live[1]} if live else None,
        "waiting": session.waiting,
        "jobs": [{"id": one.job_id, "status": one.status} for one in session.history],
        "turns": sum(one.turns for one in session.history),
        "messages": conversation(session.history),
        "expires_at": rfc3339(session.expires_ms),
        "links": {"self": f"/v1/sessions/{session_id}", "jobs": f"/v1/jobs?session_id={session_id}"},
    }
