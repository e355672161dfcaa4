"""Webhooks, the words: what a job's receiver can be told of, and what a job says about its receiver."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import to_json

from shared.stored import build

JOB_URLS = "job_urls"
"""The endpoint that holds the secret for URLs that are named by a job itself; it has no URL of its own."""
TEST_EVENT = "webhook.test"
"""The type of a delivery that only tries an endpoint out."""
SECRET_PREFIX = "whsec_"  # noqa: S105  (what all begin with, says Standard Webhooks)
_SECRET_BYTES = 32


class EventType(StrEnum):
    """`job.` and a status; STARTED stands for the first time that a job runs."""

    STARTED = "job.started"
    REQUIRES_ACTION = "job.requires_action"
    SUCCEEDED = "job.succeeded"
    INCOMPLETE = "job.incomplete"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    EXPIRED = "job.expired"


USUAL_EVENTS = tuple(one for one in EventType if one != EventType.STARTED)
"""What is told when a job does not say what it wants to be told."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a job's events go: to an endpoint, or to a `url` of its own, which is then signed with the secret of the
    endpoint JOB_URLS. `host` is what deliveries are kept apart by."""

    endpoint_id: str
    host: str
    url: str = ""
    events: tuple[str, ...] = USUAL_EVENTS

    @classmethod
    def stored(cls, fields: Mapping[str, Any]) -> "Webhook":
        return build(cls, {**fields, "events": tuple(fields["events"])})

    def about(self, *, agent: str, session_id: str | None, metadata: Mapping[str, str]) -> str:
        """JSON of all that a delivery needs to know, so that it can go out when the job is gone: see
        `job_outbox.lua`, which reads `events`, `host` and `endpoint_id`."""
        fields = {
            "events": " ".join(self.events),
            "host": self.host,
            "endpoint_id": self.endpoint_id,
            "url": self.url,
            "agent": agent,
            "session_id": session_id,
            "metadata": metadata,
        }
        return to_json(fields).decode()


def new_secret() -> str:
    """A signing secret as Standard Webhooks writes them."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
