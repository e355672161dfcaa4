"""What followers of a job are told: the types of events, and an event as it is kept.

The events of a job are numbered from 1, without gaps. Each change of its status is one, written by the script that
changes it; what happens in between is told by the worker (docs/events.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.states import Status

MOST_EVENTS = 10_000
"""About how many events of a job are kept; older ones are dropped."""
LONGEST_TEXT = 8_000
"""Characters of a text in one event; a longer one is told in several."""

LONGEST_INPUT = 4_000
"""Characters of a tool call's input that are told; of a longer one the transcript has it."""


class EventType(StrEnum):
    """Beside these each status has one, `job.STATUS`."""

    TURN_STARTED = "turn.started"
    TURN_RESTARTED = "turn.restarted"
    TEXT_DELTA = "text.delta"
    TURN_COMPLETED = "turn.completed"
    TOOL_STARTED = "tool.started"
    TOOL_COMPLETED = "tool.completed"
    ACTION_REQUESTED = "action.requested"
    ACTION_DECIDED = "action.decided"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_HEARD = "message.heard"
    EVENTS_DROPPED = "events.dropped"


TYPES = frozenset({f"job.{status}" for status in Status} | set(EventType))


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Number `id` of a job's events."""

    id: int
    type: str
    at_ms: int
    data: Mapping[str, Any]

    @classmethod
    def of_submit(cls, created_ms: int) -> "JobEvent":
        """The first, which is not kept: the job's record says the same."""
        return cls(1, f"job.{Status.QUEUED}", created_ms, {"status": Status.QUEUED, "revision": 1})

    @classmethod
    def of_gap(cls, after: int, first: int, at_ms: int) -> "JobEvent":
        """In place of the events between `after` and `first`, which were dropped; a reader goes on behind it."""
        return cls(first - 1, EventType.EVENTS_DROPPED, at_ms, {"after": after, "before": first})

    @classmethod
    def from_entry(cls, entry_id: str, fields: list[str]) -> "JobEvent":
        """Reads an entry of the stream: `N-0`, and its fields flat."""
        kept = dict(zip(fields[::2], fields[1::2], strict=True))
        return cls(int(entry_id.partition("-")[0]), kept["type"], int(kept["at"]), json.loads(kept["data"]))
