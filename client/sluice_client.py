"""A client of Sluice in one file: copy it into your project. It needs Python 3.11 and httpx2.

    with Sluice("http://127.0.0.1:8000", key="slc_…") as sluice:
        job = sluice.submit("assistant", "What is a job queue?")
        print(sluice.wait(job["id"])["output"])

`AsyncSluice` has the same methods for asyncio. What is safe to repeat is repeated after a lost connection, a 429 or a
5xx, not sooner than the server asks; submits carry an Idempotency-Key, so that they are safe. Answers are the server's
JSON as dicts: the types below name their fields, and what a newer server adds is in them, too. Errors are SluiceError.

From top to bottom: what is sent and answered, errors, webhooks, the operations (each once), and the two classes.
"""

import asyncio
import base64
import binascii
import functools
import hashlib
import hmac
import itertools
import json
import math
import random
import time
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import (
    Any,
    Concatenate,
    Literal,
    NotRequired,
    ParamSpec,
    Protocol,
    Required,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
)
from urllib.parse import quote

import httpx2

# What is sent and answered ------------------------------------------------------------------------------------------

Status = Literal[
    "queued", "running", "requires_action", "cancelling", "succeeded", "incomplete", "failed", "cancelled", "expired"
]
FINISHED = frozenset({"succeeded", "incomplete", "failed", "cancelled", "expired"})
"""A job with one of these statuses has ended."""
Moment = str | datetime
"""RFC 3339, or a datetime with a zone."""


class BudgetOptions(TypedDict, total=False):
    max_turns: int
    max_tokens: int
    max_cost_usd: str | Decimal
    max_seconds: int


class WebhookOptions(TypedDict, total=False):
    """Either `url` or `endpoint_id`."""

    url: str
    endpoint_id: str
    events: list[str]


class JobOptions(TypedDict, total=False):
    """What can be said of a job besides its agent and its input."""

    priority: Literal["high", "standard", "low"]
    session_id: str | None
    on_conflict: Literal["enqueue", "reject"]
    budget: BudgetOptions
    metadata: dict[str, str]
    run_at: Moment | None
    delay_seconds: float | None
    ttl_seconds: float | None
    deadline_at: Moment | None
    webhook: WebhookOptions | None


class RetryOptions(TypedDict, total=False):
    """What is to be different from the job that is forked: the `message` is said to the agent before it goes on."""

    message: str
    budget: BudgetOptions
    metadata: dict[str, str]


Input = str | list[dict[str, Any]]
"""A text, or messages of the Messages API."""


class JobRequest(JobOptions, total=False):
    """A job of a batch."""

    agent: Required[str]
    input: Required[Input]
    idempotency_key: str


class Usage(TypedDict):
    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    model_calls: int
    turns: int
    tool_calls: int
    cost_usd: str


class Budget(TypedDict):
    max_turns: int | None
    max_tokens: int | None
    max_cost_usd: str | None
    max_seconds: int | None


class Model(TypedDict):
    requested: str
    served: str | None
    fallback: bool
    drill: bool


class Place(TypedDict):
    """Of a waiting job; `position` 1 is next."""

    position: int
    depth: int
    estimated_start_at: str | None


class JobError(TypedDict):
    type: str
    code: str
    message: str
    retryable: bool


class Incomplete(TypedDict):
    reason: str
    message: str | None


class Origin(TypedDict):
    """The job that another goes on from, and the last turn that they have in common."""

    job_id: str
    turn: int


class ActionLinks(TypedDict):
    decide: str
    job: str


class Action(TypedDict):
    """A question to a person about a tool call, or a step; `decisions` is what he may say to it (docs/approvals.md)."""

    id: str
    object: Literal["action"]
    job_id: str
    agent: str
    kind: Literal["approval", "outcome"]
    status: Literal["pending", "decided", "expired", "withdrawn"]
    turn: int
    tool_call_id: str
    tool: str
    effect: str
    input: dict[str, Any]
    input_schema: dict[str, Any]
    note: str | None
    decisions: list[str]
    created_at: str
    expires_at: str
    decided_at: str | None
    decision: str | None
    edited_input: dict[str, Any] | None
    comment: str | None
    result: Any
    links: ActionLinks


class Job(TypedDict):
    id: str
    object: Literal["job"]
    agent: str
    status: Status
    wait_reason: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    next_attempt_at: str | None
    expires_at: str | None
    deadline_at: str | None
    priority: Literal["high", "standard", "low"]
    session_id: str | None
    forked_from: Origin | None
    input: Input
    output: str | None
    error: JobError | None
    incomplete_details: Incomplete | None
    required_actions: list[Action]
    usage: Usage
    estimated_cost_usd: str | None
    budget: Budget
    model: Model
    queue: Place | None
    attempt: int
    metadata: dict[str, str]
    revision: int
    links: dict[str, str]


class FieldError(TypedDict):
    pointer: str
    detail: str


class Problem(TypedDict):
    """An error as the server describes it (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    retryable: bool
    errors: NotRequired[list[FieldError]]


class BatchResult(TypedDict):
    """What became of one job of a batch: either `job` or `error`."""

    status: int
    job: Job | None
    error: Problem | None
    idempotency_replayed: bool


class Event(TypedDict):
    """Something that happened to a job; what `data` holds depends on `type` (docs/events.md)."""

    id: int
    object: Literal["event"]
    type: str
    created_at: str
    job_id: str
    data: dict[str, Any]


class Decision(TypedDict):
    decision: Literal["approve", "deny", "edit", "done", "not_done", "expired", "withdrawn"]
    edited_input: dict[str, Any] | None
    comment: str | None
    result: Any


class ToolCall(TypedDict):
    id: str
    name: str
    input: dict[str, Any]
    outcome: str
    result: str | None
    duration_seconds: float | None
    decisions: list[Decision]


class BrokenCall(TypedDict):
    """A call of the model whose answer broke off: paid for, and no turn."""

    object: Literal["broken_call"]
    turn: int
    target: str
    model: str
    why: str
    usage: Usage


class Turn(TypedDict):
    object: Literal["turn"]
    turn: int
    content: list[dict[str, Any]]
    stop_reason: str
    target: str
    model: str
    served_as: str
    request_id: str | None
    duration_seconds: float
    usage: Usage
    broken_calls: list[BrokenCall]
    tool_calls: list[ToolCall]


class Step(TypedDict):
    """Of a custom agent."""

    object: Literal["step"]
    name: str
    number: int
    after_turn: int
    outcome: str
    result: Any
    error: str | None
    duration_seconds: float | None
    decisions: list[Decision]


class Message(TypedDict):
    """What was said to a job, and is not lost any more."""

    id: str
    object: Literal["message"]
    job_id: str
    content: str
    created_at: str


class TurnMessage(TypedDict):
    """What was said to a job; heard after so many turns, None while it waits."""

    id: str
    object: Literal["message"]
    content: str
    created_at: str
    after_turn: int | None


class WebhookEvent(TypedDict):
    """`id` is the header `webhook-id`, the same when it comes again. `data` are fields of the job: docs/webhooks.md."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


Results = list[BatchResult]  # within a class that has a method `list`, the name means that


# Errors -------------------------------------------------------------------------------------------------------------


class SluiceError(Exception):
    """All that is raised here, but for wrong arguments. `retryable`: the same may succeed later, after `retry_after`
    seconds when that is told. `attempts`: how often it has been tried."""

    retryable = False
    retry_after: float | None = None
    attempts = 1


class NoAnswer(SluiceError):
    """Nothing came back, or nothing that can be read."""

    def __init__(self, message: str, *, retryable: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class TimedOut(SluiceError, TimeoutError):
    """The job has not ended in the time that it was waited for. It goes on."""

    retryable = True


class InvalidWebhook(SluiceError):
    """It was not sent by who knows the secret, or not just now."""


class ApiError(SluiceError):
    """The server refused. `code` tells errors apart, `errors` say which fields are wrong, `request_id` names the
    request in the server's log."""

    def __init__(self, status: int, document: Mapping[str, Any], headers: Mapping[str, str], asked: str) -> None:
        self.status = status
        self.code = str(document.get("code", "http_error"))
        self.detail = str(document.get("detail", f"HTTP {status}"))
        self.retryable = bool(document.get("retryable", status in _PASSING))
        self.request_id = str(document.get("request_id") or headers.get("x-request-id", ""))
        self.errors = _field_errors(document.get("errors"))
        self.retry_after = _seconds(headers.get("retry-after"))
        fields = "".join(f"; {one['pointer']} {one['detail']}" for one in self.errors)
        super().__init__(f"{asked}: {status} {self.code}: {self.detail}{fields} ({self.request_id})")


class InvalidRequest(ApiError):
    """400, 413, 415, 422: it cannot be meant so."""


class Unauthorized(ApiError):
    """401, 403: the key is missing, unknown, expired or not for this."""


class NotFound(ApiError):
    """404, 410: there is no such thing, or not any more."""


class Conflict(ApiError):
    """409: not as things are."""


class TooManyRequests(ApiError):
    """429: the queue is full, or your share of it, or of the requests or the money."""


class Unavailable(ApiError):
    """5xx: the server cannot answer now."""


_KINDS: dict[int, type[ApiError]] = {
    **dict.fromkeys((400, 413, 415, 422), InvalidRequest),
    **dict.fromkeys((401, 403), Unauthorized),
    **dict.fromkeys((404, 410), NotFound),
    409: Conflict,
    429: TooManyRequests,
}
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""What to try again when a proxy answers, whose errors say nothing of it."""


def _field_errors(found: Any) -> list[FieldError]:
    listed = found if isinstance(found, list) else []
    whole = [one for one in listed if isinstance(one, dict) and one.keys() >= {"pointer", "detail"}]
    return [FieldError(pointer=str(one["pointer"]), detail=str(one["detail"])) for one in whole]


def _refusal(status: int, headers: Mapping[str, str], body: bytes, asked: str) -> ApiError:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    kind = _KINDS.get(status, Unavailable if status >= 500 else ApiError)
    return kind(status, document if isinstance(document, dict) else {}, headers, asked)


# Webhooks -----------------------------------------------------------------------------------------------------------


class HeaderFields(Protocol):
    """The headers of any framework, or a dict."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def verify_webhook(
    body: bytes, headers: HeaderFields, secrets: str | Iterable[str], *, tolerance: float = 300
) -> WebhookEvent:
    """The event in a webhook (https://www.standardwebhooks.com). Raises InvalidWebhook when it is not signed with one
    of the `secrets` (`whsec_…`), or its time is more than `tolerance` seconds off; ValueError for what is no secret.

    `body` are the bytes as they came. The same event can come again: remember each `id` for a day."""
    keys = [_secret_key(one) for one in ([secrets] if isinstance(secrets, str) else secrets)]
    told = {name.lower(): value for name, value in headers.items()}
    try:
        message, sent, signed = (told[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise InvalidWebhook(f"the header {error} is missing") from None
    if not (sent.isascii() and sent.isdigit() and abs(time.time() - int(sent[:20])) <= tolerance):
        raise InvalidWebhook("its timestamp is too far from now, or none")
    content = f"{message}.{sent}.".encode(errors="replace") + body
    right = [b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in keys]
    given = [one.encode(errors="replace") for one in signed.split(" ")]
    # All are compared, so that the time it takes says nothing.
    if not sum(hmac.compare_digest(ours, theirs) for ours in right for theirs in given):
        raise InvalidWebhook("no signature of it is right")
    try:
        event = json.loads(body)
        return {**event, "id": message}  # type: ignore[typeddict-item]
    except (ValueError, TypeError) as error:
        raise InvalidWebhook("its body is not an event") from error


def _secret_key(secret: str) -> bytes:
    text = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a webhook secret is whsec_ and base64")
    return key


# The operations, whatever carries them ------------------------------------------------------------------------------

_LONGEST_WAIT = 60.0
_LONG_POLL = 25.0
_SILENCE = 45.0
"""A stream that says nothing for so long is broken: the server pings every 15 seconds."""
_LEAST_PAUSE, _FIRST_PAUSE, _MOST_PAUSE = 0.1, 0.5, 20.0
_BATCH = 1000
_PAGE = 100
_HOUR = 3600.0
_STREAM, _JSON = "text/event-stream", "application/json"


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    held: float = 0
    """Seconds for which the server may keep the answer back."""
    repeatable: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class _Incoming:
    """An answer whose body is still on its way."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class _Wire(Protocol):
    """How requests are sent and time passes: with an event loop, or without."""

    def open(self, method: str, url: str, **request: Any) -> AbstractAsyncContextManager[_Incoming]:
        """Takes what `httpx2.Client.build_request` does. Raises httpx2.RequestError, while the body is read, too."""

    async def pause(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class _Operations:
    """What can be asked of a server. It awaits nothing but its wire."""

    def __init__(
        self, wire: _Wire, base_url: str, key: str | None, timeout: float, retries: int, max_pause: float
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError("base_url must begin with http:// or https://")
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise ValueError("the key has characters that no key has, perhaps a line break at its end")
        self._wire = wire
        self._url = httpx2.URL(base_url.rstrip("/"))
        self._key = httpx2.Headers({"Authorization": f"Bearer {key}"} if key else {})  # its repr does not show it
        self._timeout = timeout
        self._retries = retries
        self._max_pause = max_pause

    async def submit(
        self, agent: str, input: Input, *, wait: float = 0, idempotency_key: str = "", **options: Unpack[JobOptions]
    ) -> Job:
        """The new job; with `wait` as it is when it has ended or waits for a person, or after so many seconds (60 at
        most).

        Give an `idempotency_key` to get the same job from another call, too, such as one after a restart."""
        headers = {"Idempotency-Key": idempotency_key or _new_key()}
        wait = min(wait, _LONGEST_WAIT)
        if wait:
            headers["Prefer"] = f"wait={math.ceil(wait)}"
        body = {"agent": agent, "input": input, **options}
        answer = await self._call(_Request("POST", "/v1/jobs", body=body, headers=headers, held=wait))
        job: Job = answer.body
        return job

    async def submit_many(self, jobs: Iterable[JobRequest], *, all_or_nothing: bool = False) -> Results:
        """What became of each, in their order: 1,000 go in a request. What is refused because the queue is full, or for
        another reason that passes, is sent again like any request. `all_or_nothing` takes 1,000 at most, and raises
        ApiError if one cannot be taken."""
        keyed = [{"idempotency_key": _new_key(), **job} for job in jobs]
        size = len(keyed) if all_or_nothing else _BATCH
        parts = [keyed[start : start + size] for start in range(0, len(keyed), size or 1)]
        return [result for part in parts for result in await self._batch(part, all_or_nothing)]

    async def get(self, job_id: str) -> Job:
        job: Job = (await self._call(_Request("GET", _job(job_id)))).body
        return job

    async def wait(self, job_id: str, *, timeout: float = _HOUR) -> Job:
        """The job once it has ended, however. Sees outages of the server through. Raises TimedOut."""
        deadline = time.monotonic() + timeout
        tag: dict[str, str] = {}
        seen = None
        while (left := deadline - (asked := time.monotonic())) > 0:
            held = min(_LONG_POLL, left)
            request = _Request("GET", _job(job_id), {"wait": held}, headers=tag, held=held)
            answer = await self._call(request, deadline)
            if answer.status == 200:
                job: Job = answer.body
                if job["status"] in FINISHED:
                    return job
                tag = {"If-None-Match": answer.headers["etag"]} if "etag" in answer.headers else {}
            if tag == seen and time.monotonic() - asked < min(_FIRST_PAUSE, held):
                await self._wire.pause(_FIRST_PAUSE)  # a server that is about to stop holds nothing back
            seen = tag
        raise TimedOut(f"{job_id} has not ended within {timeout:g} s")

    async def stream(self, job_id: str, *, after: int = 0, timeout: float = _HOUR) -> AsyncGenerator[Event, None]:
        """What happens to the job, from its beginning or from the event after number `after` on, as it happens, until
        it has ended. Goes on where it was when a connection breaks. Raises TimedOut, at most 15 s late."""
        deadline = time.monotonic() + timeout
        failures = 0
        reconnect: float | None = None
        while True:
            try:
                async with self._open_stream(job_id, after, deadline) as answer:
                    if answer.status == 204:
                        return
                    async for fields in _events(answer.chunks):
                        if fields.get("retry", "").isdigit():
                            reconnect = int(fields["retry"]) / 1000
                        if "data" not in fields:
                            continue
                        event = _event(fields["data"])
                        after, failures = event["id"], 0
                        yield event
                        if event["type"].removeprefix("job.") in FINISHED:
                            return
                raise NoAnswer(f"the stream of {job_id} ended before the job")
            except SluiceError as error:
                failures += 1
                error.retry_after = error.retry_after or reconnect
                await self._before_repeat(error, failures, deadline)

    async def list(
        self,
        *,
        status: Status | None = None,
        agent: str | None = None,
        session_id: str | None = None,
        created_after: Moment | None = None,
        created_before: Moment | None = None,
        after: str | None = None,
    ) -> AsyncGenerator[Job, None]:
        """Your jobs, newest first, as many as you take; `after` is the id of the job to go on from."""
        wanted: dict[str, Any] = {"status": status, "agent": agent, "session_id": session_id, "after": after}
        moments = {"created_after": created_after, "created_before": created_before}
        wanted |= {name: _as_text(at) if isinstance(at, datetime) else at for name, at in moments.items()}
        query = {"limit": _PAGE} | {name: value for name, value in wanted.items() if value is not None}
        async for page in self._pages("/v1/jobs", query):
            for job in page["data"]:
                yield job

    async def cancel(self, job_id: str) -> Job:
        """The job as it is then: one that runs is `cancelling` for up to a second, a finished one stays as it was."""
        job: Job = (await self._call(_Request("POST", _job(job_id, "/cancel")))).body
        return job

    async def delete(self, job_id: str) -> None:
        """Erases a job. Raises Conflict when it has not ended."""
        await self._delete(_job(job_id))

    async def actions(self) -> AsyncGenerator[Action, None]:
        """What waits for a person in all your jobs, newest first."""
        async for page in self._pages("/v1/actions", {"limit": _PAGE}):
            for action in page["data"]:
                yield action

    async def decide(
        self,
        job_id: str,
        action_id: str,
        decision: Literal["approve", "deny", "edit", "done", "not_done"],
        *,
        input: dict[str, Any] | None = None,
        result: Any = None,
        comment: str | None = None,
    ) -> Action:
        """The action as it is decided; `edit` takes an `input`, `done` a `result`. Raises Conflict when it was decided
        before, and says how: when an answer was lost (`attempts` is more than 1), that may have been this call."""
        body = {"decision": decision, "input": input, "result": result, "comment": comment}
        action: Action = (
            await self._call(_Request("POST", _job(job_id, f"/actions/{_part(action_id)}"), body=body))
        ).body
        return action

    async def send_message(self, job_id: str, content: str, *, idempotency_key: str = "") -> Message:
        """Says something to the agent, which hears it before its next turn. Raises Conflict when the job has ended."""
        headers = {"Idempotency-Key": idempotency_key or _new_key()}
        request = _Request("POST", _job(job_id, "/messages"), body={"content": content}, headers=headers)
        message: Message = (await self._call(request)).body
        return message

    async def fork(
        self, job_id: str, from_turn: int, *, idempotency_key: str = "", **options: Unpack[RetryOptions]
    ) -> Job:
        """A new job with the turns of this one up to `from_turn`. Raises Conflict while that turn may be under way."""
        return await self._go_on_from(_job(job_id, "/fork"), {"from_turn": from_turn, **options}, idempotency_key)

    async def retry(self, job_id: str, *, idempotency_key: str = "", **options: Unpack[RetryOptions]) -> Job:
        """A new job that goes on where this one has ended. Raises Conflict when it has not, or has succeeded."""
        return await self._go_on_from(_job(job_id, "/retry"), dict(options), idempotency_key)

    async def turns(self, job_id: str) -> AsyncGenerator[Turn, None]:
        """What the model has said so far, what each answer cost, and what became of its tool calls."""
        async for page in self._pages(_job(job_id, "/turns"), {}):
            for turn in page["data"]:
                yield turn

    async def steps(self, job_id: str) -> AsyncGenerator[Step, None]:
        """What a custom agent has done so far besides its turns."""
        async for page in self._pages(_job(job_id, "/turns"), {}):
            for step in page["steps"]:
                yield step

    async def messages(self, job_id: str) -> AsyncGenerator[TurnMessage, None]:
        """What was said to the job so far, and when it heard that."""
        async for page in self._pages(_job(job_id, "/turns"), {}):
            for message in page["messages"]:
                yield message

    async def broken_calls(self, job_id: str) -> AsyncGenerator[BrokenCall, None]:
        """The calls that broke off since the last turn, with what they cost; earlier ones stand in their turns."""
        async for page in self._pages(_job(job_id, "/turns"), {}):
            for call in page["broken_calls"]:
                yield call

    async def delete_session(self, session_id: str) -> None:
        """Forgets what its jobs have said; those stay. Raises Conflict while one of them has not ended."""
        await self._delete(f"/v1/sessions/{_part(session_id)}")

    async def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """The answer of any endpoint, None when it has no body. A POST is sent once, whatever becomes of it."""
        request = _Request(method, path, query or {}, body, repeatable=method in ("GET", "DELETE"))
        return (await self._call(request)).body

    async def _go_on_from(self, path: str, body: Mapping[str, Any], idempotency_key: str) -> Job:
        headers = {"Idempotency-Key": idempotency_key or _new_key()}
        job: Job = (await self._call(_Request("POST", path, body=body, headers=headers))).body
        return job

    async def _delete(self, path: str) -> None:
        try:
            await self._call(_Request("DELETE", path))
        except NotFound as error:
            if error.attempts == 1:  # else an attempt whose answer was lost has deleted it
                raise

    async def _pages(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[Any]:
        while True:
            page = (await self._call(_Request("GET", path, query))).body
            yield page
            if not page["has_more"]:
                return
            query = {**query, "after": page["last_id"]}

    async def _batch(self, jobs: Sequence[Mapping[str, Any]], together: bool) -> Results:
        results: dict[int, BatchResult] = {}
        left: Sequence[int] = range(len(jobs))
        for attempt in itertools.count(1):
            body = {"jobs": [jobs[index] for index in left], "all_or_nothing": together}
            answer = await self._call(_Request("POST", "/v1/jobs:batch", body=body))
            results |= zip(left, answer.body["data"], strict=True)
            left = [index for index in left if (error := results[index]["error"]) and error["retryable"]]
            pause = _pause(attempt, _seconds(answer.headers.get("retry-after")))
            if not left or attempt > self._retries or pause > self._max_pause:
                break
            await self._wire.pause(pause)
        return [results[index] for index in range(len(jobs))]

    async def _call(self, request: _Request, deadline: float | None = None) -> _Answer:
        """The answer, from as many attempts as are allowed, or until the deadline. Raises SluiceError."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(request, deadline)
            except SluiceError as error:
                error.attempts = attempt
                if not request.repeatable:
                    raise
                await self._before_repeat(error, attempt, deadline)

    async def _before_repeat(self, error: SluiceError, attempt: int, deadline: float | None) -> None:
        """Waits until the next attempt. Raises the error when there is to be none, TimedOut when it would be late."""
        if not error.retryable:
            raise error
        pause = _pause(attempt, error.retry_after)
        if deadline is None and (attempt > self._retries or pause > self._max_pause):
            raise error
        if deadline is not None and time.monotonic() + pause > deadline:
            raise TimedOut(f"not before the time was up: {error}") from error
        await self._wire.pause(pause)

    async def _once(self, request: _Request, deadline: float | None) -> _Answer:
        limit = self._timeout + request.held
        if deadline is not None:
            limit = max(0.001, min(limit, deadline - time.monotonic()))
        async with self._open(request, limit, limit) as answer:
            body = b"".join([chunk async for chunk in answer.chunks])
        if answer.status in (204, 304):
            return _Answer(answer.status, answer.headers, None)
        _expect(_JSON, answer, request)
        try:
            return _Answer(answer.status, answer.headers, dict(json.loads(body)))
        except (ValueError, TypeError) as error:
            raise NoAnswer(f"{request}: the answer is not a JSON object, or not whole") from error

    @asynccontextmanager
    async def _open_stream(self, job_id: str, after: int, deadline: float) -> AsyncIterator[_Incoming]:
        headers = {"Accept": _STREAM, "Last-Event-ID": str(after)}
        request = _Request("GET", _job(job_id, "/events"), headers=headers)
        limit = max(0.001, deadline - time.monotonic())
        async with self._open(request, limit, min(limit, _SILENCE)) as answer:
            if answer.status != 204:
                _expect(_STREAM, answer, request)
            yield answer

    @asynccontextmanager
    async def _open(self, request: _Request, limit: float, silence: float) -> AsyncIterator[_Incoming]:
        """An answer that is no error, whose body must be here within `limit` seconds, without a `silence` as long."""
        ends = time.monotonic() + limit
        url = f"{self._url}{request.path}"
        headers = httpx2.Headers({"Accept": _JSON} | dict(request.headers))
        headers.update(self._key)
        sent: dict[str, Any] = {"params": request.query, "headers": headers}
        if request.body is not None:
            headers["Content-Type"] = _JSON
            sent["content"] = json.dumps(request.body, default=_as_text, allow_nan=False).encode()
        times = httpx2.Timeout(silence, connect=min(silence, self._timeout))
        try:
            async with self._wire.open(request.method, url, timeout=times, **sent) as answer:
                chunks = _in_time(answer.chunks, ends)
                if answer.status >= 300 and answer.status != 304:
                    body = b"".join([chunk async for chunk in chunks])
                    raise _refusal(answer.status, answer.headers, body, str(request))
                yield _Incoming(answer.status, answer.headers, chunks)
        except httpx2.RequestError as error:
            ours = isinstance(error, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol)
            raise NoAnswer(f"{request}: {type(error).__name__} {error}".rstrip(), retryable=not ours) from error


def _job(job_id: str, what: str = "") -> str:
    return f"/v1/jobs/{_part(job_id)}{what}"


def _part(name: str) -> str:
    """Of an address, whatever is in it."""
    return quote(name, safe="")


def _new_key() -> str:
    return f"py-{uuid.uuid4()}"


def _as_text(value: Any) -> str:
    """What JSON has no word for, and an address neither. Raises TypeError for what cannot be sent."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent")


def _pause(attempt: int, asked_for: float | None) -> float:
    """Seconds before attempt `attempt + 1`: what was asked for at least, else longer each time; jittered."""
    if asked_for is not None:
        return max(_LEAST_PAUSE, asked_for) * random.uniform(1, 1.1)
    return min(_MOST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt - 1, 10)) * random.uniform(0.5, 1)


def _seconds(retry_after: str | None) -> float | None:
    """What `Retry-After` says (RFC 9110 §10.2.3): seconds or a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _expect(kind: str, answer: _Incoming, request: _Request) -> None:
    found = answer.headers.get("content-type", "").partition(";")[0]
    if found.strip().lower() != kind:
        raise NoAnswer(f"{request}: answered with {found or 'nothing'}: is this a Sluice server?", retryable=False)


async def _in_time(chunks: AsyncIterator[bytes], ends: float) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if time.monotonic() > ends:
            raise httpx2.ReadTimeout("the answer was not whole in time")
        yield chunk


async def _events(chunks: AsyncIterable[bytes]) -> AsyncIterator[dict[str, str]]:
    """The fields of each event of a stream (WHATWG HTML, "Server-sent events"); one that breaks off is none."""
    rest, fields = b"", dict[str, str]()
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.removesuffix(b"\r").decode(errors="replace").partition(":")
            value = value.removeprefix(" ")
            if name:
                fields[name] = f"{fields['data']}\n{value}" if name == "data" and name in fields else value
            elif not line.strip() and fields:
                yield fields
                fields = {}


def _event(data: str) -> Event:
    try:
        event: Event = json.loads(data)
        if isinstance(event["id"], int) and isinstance(event["type"], str):
            return event
    except (ValueError, TypeError, KeyError):
        pass
    raise NoAnswer("the stream has something in it that is no event")


# With an event loop, and without ------------------------------------------------------------------------------------


class _AsyncWire:
    def __init__(self, http: httpx2.AsyncClient | None) -> None:
        self._http = http or httpx2.AsyncClient()
        self._ours = http is None

    @asynccontextmanager
    async def open(self, method: str, url: str, **request: Any) -> AsyncIterator[_Incoming]:
        answer = await self._http.send(self._http.build_request(method, url, **request), stream=True)
        try:
            yield _Incoming(answer.status_code, answer.headers, answer.aiter_bytes())
        finally:
            await answer.aclose()

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        if self._ours:
            await self._http.aclose()


class _BlockingWire:
    """Its coroutines never wait for anything: what they do takes as long as it takes."""

    def __init__(self, http: httpx2.Client | None) -> None:
        self._http = http or httpx2.Client()
        self._ours = http is None

    @asynccontextmanager
    async def open(self, method: str, url: str, **request: Any) -> AsyncIterator[_Incoming]:
        answer = self._http.send(self._http.build_request(method, url, **request), stream=True)
        try:
            yield _Incoming(answer.status_code, answer.headers, _each(answer.iter_bytes()))
        finally:
            answer.close()

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    async def close(self) -> None:
        if self._ours:
            self._http.close()


async def _each(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class AsyncSluice(_Operations):
    """A server, from asyncio; use it with `async with`. All methods but `__init__` raise SluiceError.

    `timeout` is for a whole answer, in seconds, without the time that the server was asked to wait. `retries` is how
    often a request is repeated; when the server asks for more than `max_pause` seconds before, it is not, and the error
    says so in `retry_after`. `http` is a client of your own, for proxies, certificates or limits: it stays yours."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        timeout: float = 10,
        retries: int = 4,
        max_pause: float = 60,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        super().__init__(_AsyncWire(http), base_url, key, timeout, retries, max_pause)

    async def close(self) -> None:
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncSluice({self._url!r})"


P = ParamSpec("P")
T = TypeVar("T")


def _done(steps: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits."""
    try:
        steps.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for an event loop")


def _blocking(
    operation: Callable[Concatenate[_Operations, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Sluice", P], T]:
    @functools.wraps(operation)
    def call(self: "Sluice", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return _done(operation(self._operations, *args, **kwargs))

    return call


def _iterating(
    operation: Callable[Concatenate[_Operations, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate["Sluice", P], Generator[T, None, None]]:
    @functools.wraps(operation)
    def iterate(self: "Sluice", /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        items = operation(self._operations, *args, **kwargs)
        try:
            while True:
                yield _done(items.asend(None))
        except StopAsyncIteration:
            return
        finally:
            _done(items.aclose())

    return iterate


class Sluice:
    """A server, without an event loop; use it with `with`, from any number of threads. Takes what AsyncSluice does."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        timeout: float = 10,
        retries: int = 4,
        max_pause: float = 60,
        http: httpx2.Client | None = None,
    ) -> None:
        self._operations = _Operations(_BlockingWire(http), base_url, key, timeout, retries, max_pause)

    submit = _blocking(_Operations.submit)
    submit_many = _blocking(_Operations.submit_many)
    get = _blocking(_Operations.get)
    wait = _blocking(_Operations.wait)
    stream = _iterating(_Operations.stream)
    list = _iterating(_Operations.list)
    cancel = _blocking(_Operations.cancel)
    delete = _blocking(_Operations.delete)
    actions = _iterating(_Operations.actions)
    decide = _blocking(_Operations.decide)
    send_message = _blocking(_Operations.send_message)
    fork = _blocking(_Operations.fork)
    retry = _blocking(_Operations.retry)
    turns = _iterating(_Operations.turns)
    steps = _iterating(_Operations.steps)
    messages = _iterating(_Operations.messages)
    broken_calls = _iterating(_Operations.broken_calls)
    delete_session = _blocking(_Operations.delete_session)
    request = _blocking(_Operations.request)

    def close(self) -> None:
        _done(self._operations._wire.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Sluice({self._operations._url!r})"
