"""Identifiers: a prefix that says what it names, and a UUIDv7 (RFC 9562), so that id order is time order."""

import re
import socket
from os import getpid

from uuid_utils import uuid4, uuid7

_ANY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
SESSION_ID = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"
"""A pattern: what a caller may name a session."""
_UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
JOB_ID_PATTERN = f"^job_{_UUID7}$"
ACTION_ID_PATTERN = f"^act_{_UUID7}$"
_JOB_ID = re.compile(JOB_ID_PATTERN)
_ACTION_ID = re.compile(ACTION_ID_PATTERN)


def new_job_id() -> str:
    return f"job_{uuid7()}"


def new_request_id() -> str:
    return f"req_{uuid4().hex}"


def new_worker_id() -> str:
    """Who holds a lease. A restarted process is a new worker."""
    return new_process_name()


def new_process_name() -> str:
    """`host:pid:random`."""
    return f"{socket.gethostname()}:{getpid()}:{uuid4().hex[:8]}"


def new_call_id() -> str:
    """Names one model call at the gate."""
    return f"call_{uuid4().hex}"


def new_endpoint_id() -> str:
    """Names a receiver of webhooks."""
    return f"whe_{uuid7()}"


def new_action_id() -> str:
    """Names a question to a person."""
    return f"act_{uuid7()}"


def new_message_id() -> str:
    """Names what somebody says to a job; `msg_` are deliveries of webhooks."""
    return f"mail_{uuid7()}"


def new_test_delivery_id() -> str:
    """Names a delivery that no job has caused; those of a job are named after it (`shared/lua/job_outbox.lua`)."""
    return f"msg_{uuid7()}_test"


def delivery_ids_of(job_id: str) -> str:
    """What the ids of all deliveries of a job begin with."""
    return f"msg_{job_id.removeprefix('job_')}_"


def is_job_id(text: str) -> bool:
    return _JOB_ID.fullmatch(text) is not None


def is_action_id(text: str) -> bool:
    return _ACTION_ID.fullmatch(text) is not None


def may_name_a_job(text: str) -> bool:
    """Whether a job of this id can exist: one of ours, or one with the id that a stock arq client gave it."""
    return _ANY_ID.match(text) is not None


def may_name_a_session(text: str) -> bool:
    return re.fullmatch(SESSION_ID, text) is not None


def milliseconds(job_id: str) -> int:
    """When a job id was made, by the clock of who made it: the first 48 bits of a UUIDv7 (RFC 9562 §5.7)."""
    return int(job_id.removeprefix("job_").replace("-", "")[:12], 16)


def job_id_at(milliseconds: int) -> str:
    """The smallest text that any job id made at or after this moment is not below: a bound for a range of ids."""
    digits = f"{max(0, milliseconds):012x}"
    return f"job_{digits[:8]}-{digits[8:12]}"
