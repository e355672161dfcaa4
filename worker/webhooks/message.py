"""What a receiver is sent: the body and the headers of one attempt."""

from collections.abc import Iterable
from typing import Any

from pydantic import SecretStr
from pydantic_core import to_json

from shared.clock import rfc3339
from shared.delivery import JobEvent
from shared.outbox import Parcel
from worker.webhooks.signature import signature


def body(parcel: Parcel) -> bytes:
    """The event as it was when it happened, the same at every attempt until the job is deleted: from then on it says
    nothing more of what its caller and its agent have said.

    `output` is there when the job has ended, is still kept, and has one that is short enough, or none (null).
    """
    delivery = parcel.delivery
    return to_json({"type": delivery.type, "timestamp": rfc3339(delivery.at_ms), "data": _data(parcel)})


def headers(parcel: Parcel, secrets: Iterable[SecretStr], *, now_ms: int, content: bytes) -> dict[str, str]:
    """`webhook-id` stays over retries and replays; the timestamp is that of the attempt."""
    delivery, timestamp = parcel.delivery, now_ms // 1000
    return {
        "content-type": "application/json",
        "user-agent": "Sluice-Webhooks/1",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secrets, delivery.id, timestamp, content),
    }


def _data(parcel: Parcel) -> dict[str, Any]:
    event = parcel.delivery.event
    if event is None:
        return {"id": parcel.delivery.endpoint_id, "object": "webhook_endpoint"}
    data = {
        "id": event.job_id,
        "object": "job",
        "status": event.status,
        "agent": event.agent,
        "session_id": event.session_id,
        "metadata": event.metadata,
        "usage": event.usage.as_json(),
        "revision": event.revision,
    }
    inside = parcel.output is not None or parcel.output_bytes == 0
    return data | ({"output": parcel.output} if inside else {}) | _asked(event)


def _asked(event: JobEvent) -> dict[str, Any]:
    """What a person is to decide; the input of the calls is in the job."""
    if event.actions is None:
        return {}
    renamed = {"action_id": "id", "expires_ms": "expires_at"}
    actions = [one | {"expires_ms": rfc3339(one["expires_ms"])} for one in event.actions]
    return {"required_actions": [{renamed.get(name, name): value for name, value in one.items()} for one in actions]}
