"""What is said to jobs, and jobs that go on from others."""

from typing import Any

from api.examples.jobs import JOB_ID, QUEUED_JOB

SAY = {"content": "Leave the invoices of 2025 alone."}
MESSAGE: dict[str, Any] = {
    "id": "mail_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1f",
    "object": "message",
    "job_id": JOB_ID,
    "content": SAY["content"],
    "created_at": "2026-01-31T12:00:27.000Z",
}

_FORK_ID = "job_019a9a71-2c1e-7d0a-9b54-6a1f0c2d4e8b"
FORK = {"from_turn": 2, "message": "Use the figures of 2025.", "budget": {"max_turns": 5}}
RETRY_WITH_MORE = {"budget": {"max_cost_usd": "2.00"}}
FORKED_JOB = QUEUED_JOB | {
    "id": _FORK_ID,
    "forked_from": {"job_id": JOB_ID, "turn": 2},
    "links": {
        "self": f"/v1/jobs/{_FORK_ID}",
        "events": f"/v1/jobs/{_FORK_ID}/events",
        "cancel": f"/v1/jobs/{_FORK_ID}/cancel",
    },
}
