"""Questions to persons, and what they say."""

from typing import Any

from api.examples.jobs import JOB_ID

ACTION_ID = "act_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1e"

ACTION: dict[str, Any] = {
    "id": ACTION_ID,
    "object": "action",
    "job_id": JOB_ID,
    "agent": "invoices",
    "kind": "approval",
    "status": "pending",
    "turn": 8,
    "tool_call_id": "toolu_01A0",
    "tool": "delete_invoice",
    "effect": "irreversible",
    "input": {"number": "2026-003"},
    "input_schema": {
        "type": "object",
        "properties": {"number": {"title": "Number", "type": "string"}},
        "required": ["number"],
        "additionalProperties": False,
    },
    "note": None,
    "decisions": ["approve", "deny", "edit"],
    "created_at": "2026-01-31T12:00:00.000Z",
    "expires_at": "2026-02-01T12:00:00.000Z",
    "decided_at": None,
    "decision": None,
    "edited_input": None,
    "comment": None,
    "result": None,
    "links": {"decide": f"/v1/jobs/{JOB_ID}/actions/{ACTION_ID}", "job": f"/v1/jobs/{JOB_ID}"},
}
ACTION_LIST = {
    "object": "list",
    "data": [ACTION],
    "has_more": False,
    "first_id": ACTION_ID,
    "last_id": ACTION_ID,
}
APPROVE = {"decision": "approve"}
EDIT = {"decision": "edit", "input": {"number": "2026-002"}, "comment": "It is this one that was paid twice."}
DONE = {"decision": "done", "result": {"receipt": "R-17"}, "comment": "The bank has it."}
NOT_DONE = {"decision": "not_done", "comment": "The invoice is still there."}
APPROVED = ACTION | {"status": "decided", "decision": "approve", "decided_at": "2026-01-31T12:07:00.000Z"}
EDITED = APPROVED | {"decision": "edit", "edited_input": EDIT["input"], "comment": EDIT["comment"]}
