"""What is repeated, how often, how late, and what is not: against a server that fails in every way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from client.sluice_client import (
    ApiError,
    Conflict,
    InvalidRequest,
    NoAnswer,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from tests.client.both import Both
from tests.client.misbehaving import Act, Misbehaving, answer, drip, hang, json_head, problem, raw, reset

Make = Callable[..., Both]
JOB = {"id": "job_1", "status": "queued", "revision": 1}
FULL = problem(429, "queue_full", retryable=True, retry_after="7")
AWAY = problem(503, "store_unavailable", retryable=True, retry_after="2")
PASSING: dict[str, Act] = {
    "reset": reset(),
    "closed": raw(b""),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "half a head": raw(b"HTTP/1.1 200 OK\r\ncontent-ty"),
    "half a body": raw(json_head(100) + b'{"id": "jo'),
    "half a body, closed": raw(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"id": "jo'),
    "not gzip": answer(200, b"not gzip", content_encoding="gzip"),
    "queue full": FULL,
    "store away": AWAY,
    "a proxy's page": answer(502, b"<html>Bad gateway</html>", "text/html"),
    "an empty error": answer(500),
    "a problem of another shape": answer(503, ["what", "is", "this"]),
}


@pytest.mark.parametrize("trouble", PASSING)
async def test_a_submit_is_repeated_with_the_same_key(
    server: Misbehaving, both: Make, pauses: list[float], trouble: str
) -> None:
    server.will(PASSING[trouble], PASSING[trouble], answer(202, JOB))
    assert await both().do("submit", "assistant", "Hello", metadata={"a": "b"}) == JOB
    assert len(server.requests) == 3
    assert len({one.headers["idempotency-key"] for one in server.requests}) == 1
    assert {one.method for one in server.requests} == {"POST"}
    assert [one.json for one in server.requests] == [
        {"agent": "assistant", "input": "Hello", "metadata": {"a": "b"}}
    ] * 3
    assert len(pauses) == 2


async def test_two_submits_have_two_keys_and_one_that_is_given_is_used(server: Misbehaving, both: Make) -> None:
    server.will(answer(202, JOB))
    client = both()
    for key in ("", "", "order-17"):
        await client.do("submit", "assistant", "Hello", idempotency_key=key)
    first, second, third = (one.headers["idempotency-key"] for one in server.requests)
    assert first != second
    assert third == "order-17"


async def test_what_the_server_asks_for_is_waited_for(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    server.will(FULL, AWAY, answer(202, JOB))
    await both().do("submit", "assistant", "Hello")
    assert 7 <= pauses[0] <= 7.7
    assert 2 <= pauses[1] <= 2.2


async def test_it_may_ask_by_a_date(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.will(answer(503, b"", retry_after=date), answer(503, b"", retry_after="soon"), answer(200, JOB))
    await both().do("get", "job_1")
    assert 20 < pauses[0] <= 33
    assert 0 < pauses[1] <= 1, "what is no time is none"


async def test_what_it_asks_for_is_not_waited_for_beyond_measure(
    server: Misbehaving, both: Make, pauses: list[float]
) -> None:
    server.will(problem(429, "tenant_budget", retryable=True, retry_after="40000"))
    with pytest.raises(TooManyRequests) as caught:
        await both().do("submit", "assistant", "Hello")
    error = caught.value
    assert (error.code, error.status, error.retryable, error.retry_after) == ("tenant_budget", 429, True, 40000)
    assert (len(server.requests), pauses) == (1, [])


async def test_pauses_grow_and_attempts_end(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    server.will(problem(503, "draining", retryable=True))
    with pytest.raises(Unavailable) as caught:
        await both(retries=8).do("get", "job_1")
    assert caught.value.attempts == len(server.requests) == 9
    ceilings = [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert all(top / 2 <= pause <= top for pause, top in zip(pauses, ceilings, strict=True))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, NotFound),
        (410, NotFound),
        (409, Conflict),
        (418, ApiError),
    ],
)
async def test_what_does_not_pass_is_told_at_once(
    server: Misbehaving, both: Make, status: int, kind: type[ApiError]
) -> None:
    errors = [{"pointer": "#/agent", "detail": "is missing"}]
    server.will(problem(status, "some_code", retryable=False, errors=errors))
    with pytest.raises(kind) as caught:
        await both().do("submit", "assistant", "Hello")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.detail, error.request_id) == (
        status,
        "some_code",
        "It is some_code.",
        "req_1",
    )
    assert (error.errors, error.retryable, error.attempts) == (errors, False, 1)
    for word in ("POST /v1/jobs", "some_code", "#/agent is missing", "req_1"):
        assert word in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("errors", ["none", [1], [{"pointer": "#"}], {"a": 1}])
async def test_an_error_in_a_strange_shape_is_still_an_error(server: Misbehaving, both: Make, errors: Any) -> None:
    server.will(problem(422, "odd", retryable=False, errors=errors))
    with pytest.raises(InvalidRequest) as caught:
        await both().do("get", "job_1")
    assert caught.value.errors == []


async def test_a_post_without_a_key_is_sent_once(server: Misbehaving, both: Make) -> None:
    server.will(reset(), answer(201, {"id": "whe_1"}))
    client = both()
    with pytest.raises(NoAnswer):
        await client.do("request", "POST", "/v1/webhook_endpoints", body={"url": "https://example.com/"})
    assert len(server.requests) == 1
    found = await client.do("request", "POST", "/v1/webhook_endpoints", body={"url": "https://example.com/"})
    assert found == {"id": "whe_1"}


async def test_other_reads_are_repeated(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    server.will(reset(), answer(200, {"data": []}))
    assert await both().do("request", "GET", "/v1/agents", query={"limit": 5}) == {"data": []}
    assert server.requests[1].path == "/v1/agents?limit=5"


async def test_a_page_is_no_answer_and_not_asked_for_again(server: Misbehaving, both: Make) -> None:
    server.will(answer(200, b"<html>Welcome</html>", "text/html"))
    for operation in ("get", "wait", "cancel"):
        with pytest.raises(NoAnswer, match="text/html"):
            await both().do(operation, "job_1")
    assert len(server.requests) == 3


async def test_a_redirect_is_not_followed_with_the_key(server: Misbehaving, both: Make) -> None:
    server.will(answer(307, b"", location="/elsewhere"))
    with pytest.raises(ApiError) as caught:
        await both(key="slc_secret").do("submit", "assistant", "Hello")
    assert (caught.value.status, len(server.requests)) == (307, 1)


@pytest.mark.parametrize("slow", [hang(), raw(json_head(9), "hang"), drip(json_head(10**6) + b" " * 10**6, 0.01)])
async def test_an_answer_has_a_time_limit_as_a_whole(server: Misbehaving, both: Make, slow: Act) -> None:
    server.will(slow)
    with pytest.raises(NoAnswer, match="ReadTimeout"):
        await both(timeout=0.3, retries=0).do("get", "job_1")


async def test_nobody_listens(both: Make, pauses: list[float]) -> None:
    with pytest.raises(NoAnswer, match="ConnectError") as caught:
        await both("http://127.0.0.1:1").do("get", "job_1")
    assert caught.value.retryable
    assert caught.value.attempts == 5


@pytest.mark.parametrize("operation", ["delete", "delete_session"])
async def test_a_delete_whose_answer_was_lost_has_deleted(
    server: Misbehaving, both: Make, pauses: list[float], operation: str
) -> None:
    missing = problem(404, "not_found", retryable=False)
    server.will(reset(), missing)
    client = both()
    await client.do(operation, "one")
    with pytest.raises(NotFound):
        await client.do(operation, "one")
    server.will(answer(204))
    await client.do(operation, "one")


async def test_a_decision_is_sent_until_it_is_heard(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    away = problem(503, "store_unavailable", retryable=True)
    decided = problem(409, "already_decided", retryable=False)
    server.will(away, answer(200, {"status": "decided"}), reset(), decided)
    client = both()
    assert (await client.do("decide", "job_1", "act_1", "deny", comment="No."))["status"] == "decided"
    assert server.requests[-1].json == {
        "decision": "deny",
        "input": None,
        "result": None,
        "comment": "No.",
    }
    with pytest.raises(Conflict) as caught:  # perhaps by the first attempt, whose answer was lost
        await client.do("decide", "job_1", "act_1", "deny")
    assert caught.value.attempts == 2


async def test_a_batch_goes_in_parts_and_what_passes_is_sent_again(
    server: Misbehaving, both: Make, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.sluice_client._BATCH", 3)

    def told(*errors: Any) -> list[dict[str, Any]]:
        return [{"status": 202 if one is None else 429, "job": None if one else JOB, "error": one} for one in errors]

    full, wrong = {"code": "queue_full", "retryable": True}, {"code": "unknown_agent", "retryable": False}
    server.will(
        answer(200, {"data": told(None, full, wrong)}, retry_after="3"),
        reset(),
        answer(200, {"data": told(full)}, retry_after="4"),
        answer(200, {"data": told(None)}),
        answer(200, {"data": told(full)}, retry_after="300"),
    )
    jobs = [{"agent": "assistant", "input": str(number)} for number in range(3)]
    last = {"agent": "assistant", "input": "3", "idempotency_key": "mine"}
    results = await both().do("submit_many", iter([*jobs, last]))
    assert [one["error"] for one in results] == [None, None, wrong, full]
    sent = [[(job["input"], job["idempotency_key"]) for job in one.json["jobs"]] for one in server.requests]
    assert [[text for text, _ in part] for part in sent] == [["0", "1", "2"], ["1"], ["1"], ["1"], ["3"]]
    assert sent[0][1] == sent[1][0] == sent[2][0] == sent[3][0]
    assert sent[4] == [("3", "mine")]
    assert [int(pause) for pause in (pauses[0], pauses[2])] == [3, 4]
    assert len(pauses) == 3, "300 seconds are the caller's to wait"


async def test_all_or_nothing_is_one_request(server: Misbehaving, both: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.sluice_client._BATCH", 1)
    server.will(answer(200, {"data": [{"status": 202, "job": JOB, "error": None}] * 3}))
    client = both()
    jobs = [{"agent": "assistant", "input": "x"}] * 3
    assert len(await client.do("submit_many", jobs, all_or_nothing=True)) == 3
    assert await client.do("submit_many", []) == []
    (request,) = server.requests
    assert request.json["all_or_nothing"] is True
    assert len({job["idempotency_key"] for job in request.json["jobs"]}) == 3


async def test_pages_are_joined_and_none_is_asked_for_that_nobody_wants(
    server: Misbehaving, both: Make, pauses: list[float]
) -> None:
    pages = [
        answer(200, {"data": [{"id": "job_3"}, {"id": "job_2"}], "has_more": True, "last_id": "job_2"}),
        answer(200, {"data": [], "has_more": True, "last_id": "job_1"}),
        reset(),
        answer(200, {"data": [{"id": "job_0"}], "has_more": False, "last_id": "job_0"}),
    ]
    client = both()
    server.will(*pages)
    found = await client.all("list", status="queued", created_after=datetime(2026, 1, 31, tzinfo=UTC))
    assert [job["id"] for job in found] == ["job_3", "job_2", "job_0"]
    paths = [one.path for one in server.requests]
    asked = "/v1/jobs?limit=100&status=queued&created_after=2026-01-31T00%3A00%3A00%2B00%3A00"
    assert paths == [asked, f"{asked}&after=job_2", f"{asked}&after=job_1", f"{asked}&after=job_1"]
    server.will(*pages)
    assert len(await client.all("list", most=2)) == 2
    assert len(server.requests) == 5


async def test_turns_and_steps_come_by_page(server: Misbehaving, both: Make) -> None:
    client = both()
    first = {"data": [{"turn": 1}], "steps": [{"name": "a"}, {"name": "b"}], "has_more": True, "last_id": 1}
    last = {"data": [{"turn": 2}], "steps": [{"name": "c"}], "has_more": False, "last_id": 2}
    for operation, found in (
        ("turns", [{"turn": 1}, {"turn": 2}]),
        ("steps", [{"name": "a"}, {"name": "b"}, {"name": "c"}]),
    ):
        server.will(answer(200, first), answer(200, last))
        assert await client.all(operation, "job_1") == found
    assert [one.path for one in server.requests] == ["/v1/jobs/job_1/turns", "/v1/jobs/job_1/turns?after=1"] * 2
