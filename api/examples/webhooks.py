"""Receivers of webhooks, and deliveries to them."""

from typing import Any

from api.examples.jobs import JOB_ID

ENDPOINT_ID = "whe_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"
DELIVERY_ID = "msg_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d_3"
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  (the one in the text of Standard Webhooks)

NEW_ENDPOINT_REQUEST = {"url": "https://example.com/hooks/sluice", "description": "billing"}
ENDPOINT: dict[str, Any] = {
    "id": ENDPOINT_ID,
    "object": "webhook_endpoint",
    "url": "https://example.com/hooks/sluice",
    "description": "billing",
    "created_at": "2026-01-31T12:00:00.000Z",
    "status": "enabled",
    "disabled_at": None,
    "disabled_reason": None,
}
NEW_ENDPOINT = ENDPOINT | {"secret": _SECRET}
ENDPOINT_LIST = {"object": "list", "data": [ENDPOINT]}
ROTATION = {
    "id": ENDPOINT_ID,
    "object": "webhook_endpoint",
    "secret": _SECRET,
    "previous_secret_expires_at": "2026-02-01T12:00:00.000Z",
}

DELIVERED: dict[str, Any] = {
    "id": DELIVERY_ID,
    "object": "webhook_delivery",
    "type": "job.succeeded",
    "job_id": JOB_ID,
    "endpoint_id": ENDPOINT_ID,
    "url": None,
    "created_at": "2026-01-31T12:00:28.900Z",
    "status": "delivered",
    "reason": None,
    "next_attempt_at": None,
    "attempts": [
        {"at": "2026-01-31T12:00:28.950Z", "status": None, "error": "timeout", "latency_ms": 15000, "answer": None},
        {"at": "2026-01-31T12:00:49.310Z", "status": 204, "error": None, "latency_ms": 41, "answer": None},
    ],
}
PENDING = DELIVERED | {"status": "pending", "next_attempt_at": "2026-01-31T12:10:00.000Z"}
TEST_DELIVERY = PENDING | {
    "id": "msg_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d_test",
    "type": "webhook.test",
    "job_id": None,
    "attempts": [],
}
DELIVERY_LIST = {
    "object": "list",
    "data": [DELIVERED],
    "has_more": False,
    "first_id": DELIVERY_ID,
    "last_id": DELIVERY_ID,
}
