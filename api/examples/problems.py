"""An example of every problem, as `/docs` shows it beside the endpoints that answer it."""

from typing import Any

from api.problems import Code, FieldError, Problem

_JOB = "job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"
_REQUEST = "req_0af7651916cd43dd8448eb211c80319c"

_DETAILS = {
    Code.BAD_JSON: "The body is not JSON: EOF while parsing a string at line 1 column 31.",
    Code.BAD_CURSOR: "after takes the id of a job, such as last_id.",
    Code.UNAUTHORIZED: "Send your key as Authorization: Bearer KEY.",
    Code.INSUFFICIENT_SCOPE: "This key is good for read, and this takes one that is good for submit: use another key "
    "of yours, or ask whoever runs this service for one (scopes in [tenants.NAME.keys.NAME]).",
    Code.AGENT_NOT_ALLOWED: "You may ask for assistant, and not for 'researcher'; ask whoever runs this service for it "
    "(agents in [tenants.NAME]).",
    Code.NOT_FOUND: "There is no such job; it may have been deleted, or removed after its retention.",
    Code.METHOD_NOT_ALLOWED: "This address does not take this method; see Allow, or the endpoints at /docs.",
    Code.BODY_TIMEOUT: "The body was not complete after 30 seconds; send it again, all at once.",
    Code.NOT_FINISHED: "The job has not finished: cancel it first, or wait until it has ended.",
    Code.SESSION_BUSY: f"{_JOB} of the session chat-17 has not finished. Wait for its end or cancel it, or leave out "
    "on_conflict: then the job waits for its turn.",
    Code.ALREADY_DECIDED: "It was decided before: approve at 2026-01-31T12:00:00.000Z.",
    Code.ALREADY_FINISHED: "The job is succeeded and hears nothing any more. To go on from what it has done, fork it: "
    f"POST /v1/jobs/{_JOB}/fork, with your message as `message`.",
    Code.ALREADY_SUCCEEDED: f"The job has succeeded. To have it done differently, fork it: POST /v1/jobs/{_JOB}/fork.",
    Code.HEARS_NO_MESSAGES: "errands is a custom agent, whose own code says what its model is asked. Cancel the job "
    "and submit another one.",
    Code.MAILBOX_FULL: "100 messages wait for the job already; say more when it has heard them.",
    Code.GONE: f"This Idempotency-Key has made {_JOB}, which was deleted, or removed after its retention. Use a new "
    "key if the work is to be done again.",
    Code.BODY_TOO_LARGE: "The body may have 1048576 bytes at most; send less.",
    Code.UNSUPPORTED_MEDIA_TYPE: "Send the body as Content-Type: application/json.",
    Code.INVALID_REQUEST: "1 field is not valid; see errors.",
    Code.UNKNOWN_AGENT: "There is no agent 'asistant'; there is assistant, researcher.",
    Code.URL_NOT_ALLOWED: "Webhooks are not sent there: the URL must begin with https://.",
    Code.TOO_MANY_ENDPOINTS: "You have 100 endpoints, which is as many as you may have; delete one first.",
    Code.IDEMPOTENCY_CONFLICT: f"This Idempotency-Key has made {_JOB} from another body; use a new key for a new job.",
    Code.QUEUE_FULL: "10000 jobs are waiting already; try again in 12 seconds.",
    Code.TENANT_QUOTA: "100 jobs of yours are waiting already, which is as many as you may have; try again in "
    "12 seconds.",
    Code.TENANT_RATE: "You may submit 60 jobs a minute; try again in 2 seconds.",
    Code.TENANT_BUDGET: "Your jobs of today have cost the 50.000000 dollars that they may cost a day; new ones are "
    "taken from 2026-02-01T00:00:00.000Z on.",
    Code.STORE_UNAVAILABLE: "The job store is not available; repeat the request, with an Idempotency-Key so that it "
    "counts once.",
    Code.DRAINING: "This server is about to stop; send it again.",
    Code.TOO_MANY_STREAMS: "This server has as many streams open as it may; come again, or read the list.",
    Code.NO_WORKER_YET: "No worker has started yet; repeat it soon.",
    Code.INTERNAL_ERROR: "Something went wrong here; quote the request_id when you report it.",
    Code.HTTP_ERROR: "There was an error parsing the body",
}
_ERRORS = {
    Code.BAD_CURSOR: FieldError(pointer="?after", detail="is not the id of a job"),
    Code.INVALID_REQUEST: FieldError(pointer="#/budget/max_turns", detail="input should be greater than or equal to 1"),
    Code.UNKNOWN_AGENT: FieldError(pointer="#/agent", detail="no such agent"),
    Code.AGENT_NOT_ALLOWED: FieldError(pointer="#/agent", detail="not for you"),
    Code.URL_NOT_ALLOWED: FieldError(pointer="#/webhook/url", detail="must begin with https://"),
    Code.IDEMPOTENCY_CONFLICT: FieldError(pointer="Idempotency-Key", detail="was used with another body"),
}


def problem_example(code: Code) -> tuple[int, dict[str, Any]]:
    """The status and the document of a problem as it may come."""
    problem = Problem(code, _DETAILS[code], errors=[_ERRORS[code]] if code in _ERRORS else None)
    return problem.status, problem.document(instance="/v1/jobs", request_id=_REQUEST)
