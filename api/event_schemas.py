"""The events of a job, as `/docs` shows them and as they are sent."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import to_json

from shared.clock import rfc3339
from shared.events import TYPES, JobEvent


class EventResource(BaseModel):
    """Something that happened to a job. Events of a job are numbered from 1, in order and without gaps; where some were
    dropped, an `events.dropped` says which. What `data` holds depends on the type: see docs/events.md."""

    id: int = Field(examples=[4], description="The number to go on after.")
    object: Literal["event"]
    type: str = Field(examples=["text.delta"], json_schema_extra={"enum": [*sorted(TYPES)]})
    created_at: str = Field(examples=["2026-01-31T12:00:00.250Z"])
    job_id: str
    data: dict[str, Any] = Field(examples=[{"turn": 1, "text": "A job queue is"}])


class EventList(BaseModel):
    """Oldest first. With `has_more` go on after `last_id`."""

    object: Literal["list"]
    data: list[EventResource]
    has_more: bool
    first_id: int | None
    last_id: int | None


STREAM_EXAMPLE = """retry: 2000

id: 3
event: turn.started
data: {"id":3,"object":"event","type":"turn.started","created_at":"2026-01-31T12:00:00.000Z","job_id":"job_…","data":{"turn":1}}

id: 4
event: text.delta
data: {"id":4,"object":"event","type":"text.delta","created_at":"2026-01-31T12:00:00.250Z","job_id":"job_…","data":{"turn":1,"text":"A job queue is"}}

: ping

"""  # noqa: E501  (a line of an event stream cannot be broken)


def event_resource(job_id: str, event: JobEvent) -> dict[str, Any]:
    """The event as `EventResource` describes it."""
    return {
        "id": event.id,
        "object": "event",
        "type": event.type,
        "created_at": rfc3339(event.at_ms),
        "job_id": job_id,
        "data": event.data,
    }


def as_sent(job_id: str, event: JobEvent) -> bytes:
    """The event in the format of an event stream (WHATWG HTML, "Server-sent events"). JSON holds no line breaks."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), to_json(event_resource(job_id, event)))
