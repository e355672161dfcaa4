"""A session."""

from typing import Any

from api.examples.jobs import FINISHED_JOB, JOB_ID

SESSION: dict[str, Any] = {
    "id": "chat-17",
    "object": "session",
    "live_job": None,
    "waiting": 0,
    "jobs": [{"id": JOB_ID, "status": "succeeded"}],
    "turns": 1,
    "messages": [
        {"role": "user", "content": FINISHED_JOB["input"]},
        {"role": "assistant", "content": [{"type": "text", "text": FINISHED_JOB["output"]}]},
    ],
    "expires_at": "2026-01-31T13:00:09.000Z",
    "links": {"self": "/v1/sessions/chat-17", "jobs": "/v1/jobs?session_id=chat-17"},
}
