"""How the service stands, and what it can do: agents, queue, workers, limits, health."""

from typing import Any

from api.examples.jobs import JOB_ID

_BUDGET = {"max_turns": 20, "max_tokens": 100_000, "max_cost_usd": "0.50", "max_seconds": 3600}
_TOOL: dict[str, Any] = {
    "name": "delete_invoice",
    "description": "Delete an invoice for ever.",
    "input_schema": {
        "type": "object",
        "properties": {"number": {"title": "Number", "type": "string"}},
        "required": ["number"],
        "additionalProperties": False,
    },
    "effect": "irreversible",
    "approval": "always",
    "timeout_seconds": 30.0,
}
_MESSAGES = {"type": "array", "items": {"type": "object", "required": ["role", "content"]}}
_INVOICES: dict[str, Any] = {
    "name": "invoices",
    "version": "1f0c8a4e2b7d",
    "kind": "declared",
    "description": "Looks after invoices.",
    "model": "default",
    "input_schema": {"anyOf": [{"type": "string"}, _MESSAGES]},
    "tools": [_TOOL],
    "budget": _BUDGET,
}
_ORDERS: dict[str, Any] = {
    "name": "orders",
    "version": "9d41c07be6f2",
    "kind": "custom",
    "description": "Looks an order through.",
    "model": "default",
    "input_schema": {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {
            "type": "object",
            "title": "Order",
            "properties": {"number": {"title": "Number", "type": "integer"}},
            "required": ["number"],
        },
    },
    "tools": [],
    "budget": _BUDGET,
}
AGENT_LIST = {"object": "list", "data": [_INVOICES, _ORDERS]}

_REASONS = {
    "capacity": 298,
    "rate_limit": 9,
    "provider_outage": 0,
    "retry_backoff": 1,
    "scheduled": 2,
    "session_busy": 0,
    "tenant_budget": 0,
    "tool_server": 0,
}
QUEUE: dict[str, Any] = {
    "object": "queue",
    "depth": 310,
    "max_depth": 10_000,
    "wait_reasons": _REASONS,
    "parked": 12,
    "oldest_waiting_seconds": 187.2,
    "running": 64,
    "requires_action": 0,
    "slots": 64,
    "drain_rate_per_second": 1.6,
    "expected_wait_seconds": 194.4,
    "day_ends_at": "2026-02-01T00:00:00.000Z",
    "tenants": [
        {
            "tenant": "acme",
            "weight": 1,
            "waiting": 42,
            "max_waiting": 1000,
            "wait_reasons": _REASONS | {"capacity": 40, "rate_limit": 2, "retry_backoff": 0, "scheduled": 0},
            "oldest_waiting_seconds": 31.5,
            "running": 16,
            "max_running": 100,
            "requires_action": 0,
            "submits_per_minute": 120,
            "spent_today_usd": "12.480000",
            "daily_cost_usd": "50.000000",
        }
    ],
}

_WORKER: dict[str, Any] = {
    "id": "worker-1:17:5be0cd19",
    "state": "alive",
    "last_sign_of_life_seconds": 0.6,
    "has_watch": True,
    "slots": 32,
    "running": 3,
    "jobs": [
        {
            "id": JOB_ID,
            "tenant": "acme",
            "status": "running",
            "since": "2026-01-31T12:00:00.000Z",
        }
    ],
}
WORKER_LIST = {"object": "list", "data": [_WORKER], "jobs_left_out": False}


def _bucket(limit: int, capacity: int, remaining: int, reserved: int, used: int) -> dict[str, Any]:
    return {
        "limit_per_minute": limit,
        "configured_per_minute": limit,
        "learned": False,
        "capacity": capacity,
        "remaining": remaining,
        "reserved": reserved,
        "used_last_minute": used,
    }


_CHAIN: dict[str, Any] = {
    "chain": "default",
    "targets": [
        {
            "target": "default",
            "calls": 100,
            "success": 0.99,
            "latency_ms": 1840,
            "cost_usd": "0.001230",
            "tool_calls": 64,
            "tool_calls_valid": 1,
            "last_trouble": None,
        }
    ],
    "drill_percent": 0,
    "fallback_ready": False,
    "reason": "there is no second target",
}
LIMIT_LIST: dict[str, Any] = {
    "object": "list",
    "data": [
        {
            "pool": "claude-sonnet-4-6",
            "targets": ["default"],
            "requests": _bucket(50, 5, 3, 6, 24),
            "input_tokens": _bucket(30_000, 3_000, 120, 7_410, 29_600),
            "output_tokens": _bucket(8_000, 800, 640, 1_900, 4_200),
            "in_flight": 6,
            "max_in_flight": 64,
            "waiting": {
                "total": 14,
                "high": 0,
                "standard": 14,
                "low": 0,
                "tenants": 2,
                "by_tenant": {"default": 3},
            },
            "expected_wait_seconds": {"high": 0, "standard": 27.5, "low": 27.5},
            "held_up_by": "input_tokens",
            "breaker": "closed",
            "retry_at": None,
            "retry_in_seconds": None,
            "pace": 1,
            "answer_tokens_per_second": 61.5,
            "refused": 2,
            "refused_last_minute": 0,
            "failures": 0,
        }
    ],
    "chains": [_CHAIN],
}

ALIVE = {"status": "ok", "checks": {}}
READY = {"status": "ready", "checks": {"redis": "ok"}}
NOT_READY = {"status": "not_ready", "checks": {"redis": "redis does not answer"}}
