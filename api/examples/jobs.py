"""Jobs, what happens to them and how they came to their results."""

from typing import Any

JOB_ID = "job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"

_NO_USAGE: dict[str, Any] = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
    "model_calls": 0,
    "turns": 0,
    "tool_calls": 0,
    "cost_usd": "0.000000",
}
USAGE = _NO_USAGE | {"input_tokens": 14, "output_tokens": 61, "model_calls": 1, "turns": 1, "cost_usd": "0.000957"}

LEAST = {"agent": "assistant", "input": "What is a job queue?"}
MOST: dict[str, Any] = {
    "agent": "assistant",
    "input": [{"role": "user", "content": "What is a job queue?"}],
    "priority": "high",
    "session_id": "customer-17",
    "on_conflict": "enqueue",
    "budget": {"max_turns": 5, "max_cost_usd": "0.50", "max_seconds": 600},
    "metadata": {"order": "17"},
    "ttl_seconds": 3600,
    "webhook": {"url": "https://example.com/hooks/sluice", "events": ["job.succeeded", "job.failed"]},
}

QUEUED_JOB: dict[str, Any] = {
    "id": JOB_ID,
    "object": "job",
    "agent": "assistant",
    "status": "queued",
    "wait_reason": "capacity",
    "created_at": "2026-01-31T12:00:00.000Z",
    "started_at": None,
    "finished_at": None,
    "next_attempt_at": None,
    "expires_at": None,
    "deadline_at": None,
    "priority": "standard",
    "session_id": None,
    "forked_from": None,
    "input": "What is a job queue?",
    "output": None,
    "error": None,
    "incomplete_details": None,
    "required_actions": [],
    "usage": _NO_USAGE,
    "estimated_cost_usd": "0.001200",
    "budget": {"max_turns": 20, "max_tokens": None, "max_cost_usd": None, "max_seconds": 3600},
    "model": {"requested": "default", "served": None, "fallback": False, "drill": False},
    "queue": {"position": 42, "depth": 310, "estimated_start_at": "2026-01-31T12:00:26.250Z"},
    "attempt": 0,
    "metadata": {"order": "17"},
    "revision": 1,
    "links": {
        "self": f"/v1/jobs/{JOB_ID}",
        "events": f"/v1/jobs/{JOB_ID}/events",
        "cancel": f"/v1/jobs/{JOB_ID}/cancel",
    },
}
_STARTED: dict[str, Any] = {"wait_reason": None, "started_at": "2026-01-31T12:00:26.300Z", "queue": None, "attempt": 1}
FINISHED_JOB = (
    QUEUED_JOB
    | _STARTED
    | {
        "status": "succeeded",
        "finished_at": "2026-01-31T12:00:28.900Z",
        "output": "A job queue holds work until somebody has time for it.",
        "usage": USAGE,
        "estimated_cost_usd": None,
        "model": {"requested": "default", "served": "claude-sonnet-4-6", "fallback": False, "drill": False},
        "revision": 4,
    }
)
CANCELLING_JOB = QUEUED_JOB | _STARTED | {"status": "cancelling", "revision": 3}
CANCELLED_JOB = QUEUED_JOB | {
    "status": "cancelled",
    "estimated_cost_usd": None,
    "wait_reason": None,
    "finished_at": "2026-01-31T12:00:05.120Z",
    "queue": None,
    "revision": 2,
}
JOB_LIST = {"object": "list", "data": [FINISHED_JOB], "has_more": False, "first_id": JOB_ID, "last_id": JOB_ID}

EVENT: dict[str, Any] = {
    "id": 4,
    "object": "event",
    "type": "text.delta",
    "created_at": "2026-01-31T12:00:27.250Z",
    "job_id": JOB_ID,
    "data": {"turn": 1, "text": "A job queue holds"},
}
EVENT_LIST = {"object": "list", "data": [EVENT], "has_more": True, "first_id": 4, "last_id": 4}

TURN_LIST: dict[str, Any] = {
    "object": "list",
    "job_id": JOB_ID,
    "status": "running",
    "revision": 4,
    "data": [
        {
            "object": "turn",
            "turn": 1,
            "content": [
                {"type": "text", "text": "Let me calculate that."},
                {"type": "tool_use", "id": "toolu_01A0", "name": "calculator", "input": {"expression": "17 * 23"}},
            ],
            "stop_reason": "tool_use",
            "target": "sonnet",
            "model": "claude-sonnet-4-6",
            "served_as": "first",
            "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
            "duration_seconds": 1.52,
            "usage": USAGE | {"tool_calls": 1},
            "broken_calls": [],
            "tool_calls": [
                {
                    "id": "toolu_01A0",
                    "name": "calculator",
                    "input": {"expression": "17 * 23"},
                    "outcome": "succeeded",
                    "result": "391",
                    "duration_seconds": 0.004,
                    "decisions": [],
                }
            ],
        }
    ],
    "steps": [],
    "messages": [],
    "broken_calls": [
        {
            "object": "broken_call",
            "turn": 2,
            "target": "sonnet",
            "model": "claude-sonnet-4-6",
            "why": "overloaded_error",
            "usage": _NO_USAGE | {"input_tokens": 92, "output_tokens": 7, "model_calls": 1, "cost_usd": "0.000381"},
        }
    ],
    "has_more": False,
    "first_id": 1,
    "last_id": 1,
}
