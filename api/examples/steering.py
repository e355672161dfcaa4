"""What is said to jobs."""

from typing import Any

from api.examples.jobs import JOB_ID

SAY = {"content": "Leave the invoices of 2025 alone."}
MESSAGE: dict[str, Any] = {
    "id": "mail_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1f",
    "object": "message",
    "job_id": JOB_ID,
    "content": SAY["content"],
    "created_at": "2026-01-31T12:00:27.000Z",
}
