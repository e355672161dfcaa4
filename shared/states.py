"""The states of a job and the ways between them.

`TRANSITIONS` is the one table of the job's life. The Lua scripts get it from here, the diagram in the docs is
made from it, and a property test drives the scripts at random against it.
"""

from enum import StrEnum


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Event(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    LAPSE = "lapse"
    RELEASE = "release"
    AWAIT_ACTION = "await_action"
    DECIDE = "decide"
    CANCEL = "cancel"
    EXPIRE = "expire"
    SUCCEED = "succeed"
    STOP_SHORT = "stop_short"
    FAIL = "fail"
    CONFIRM_CANCEL = "confirm_cancel"


FINISHED = frozenset({Status.SUCCEEDED, Status.INCOMPLETE, Status.FAILED, Status.CANCELLED, Status.EXPIRED})

TRANSITIONS: dict[Status, dict[Event, Status]] = {
    Status.QUEUED: {
        Event.CLAIM: Status.RUNNING,
        Event.CANCEL: Status.CANCELLED,
        Event.EXPIRE: Status.EXPIRED,
    },
    Status.RUNNING: {
        Event.LAPSE: Status.QUEUED,  # its worker died; another goes on
        Event.RELEASE: Status.QUEUED,
        Event.AWAIT_ACTION: Status.REQUIRES_ACTION,
        Event.CANCEL: Status.CANCELLING,
        Event.SUCCEED: Status.SUCCEEDED,
        Event.STOP_SHORT: Status.INCOMPLETE,
        Event.FAIL: Status.FAILED,
    },
    Status.REQUIRES_ACTION: {
        Event.DECIDE: Status.QUEUED,
        Event.CANCEL: Status.CANCELLED,
    },
    # A 202 to a cancel is a promise: whatever the work comes to in the meantime, the job ends cancelled.
    Status.CANCELLING: {
        Event.CANCEL: Status.CANCELLING,
        Event.LAPSE: Status.CANCELLED,
        Event.RELEASE: Status.CANCELLED,
        Event.AWAIT_ACTION: Status.CANCELLED,
        Event.SUCCEED: Status.CANCELLED,
        Event.STOP_SHORT: Status.CANCELLED,
        Event.FAIL: Status.CANCELLED,
        Event.CONFIRM_CANCEL: Status.CANCELLED,
    },
}
