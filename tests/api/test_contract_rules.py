"""The HTTP contract: what a job is, its states, and the rules for all endpoints, bullet by bullet."""

import asyncio
import json
import re
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.problems import Code
from local.service_process import ServiceProcess
from shared import ids, keys
from shared.job import IncompleteReason, WaitReason
from shared.redis_client import Redis
from shared.states import FINISHED, TRANSITIONS, Event, Status
from tests.api.contract import DEPTH, SETTINGS, api, ended, http, submitted, unkeyed
from tests.api.talk import (
    WORK,
    StandIn,
    job_of,
    keys_like,
    pointers,
    problem,
    waiting,
)
from tests.api.tenancy import bearer
from tests.api.test_auth import start
from tests.shared.queueing import sweep
from tests.waiting import until

__all__ = ["api", "http", "unkeyed"]  # fixtures

# --- Job -------------------------------------------------------------------------------------------------------------

JOB = json.loads(
    """{"id":"job_…","object":"job","agent":"assistant","status":"queued","wait_reason":"rate_limit",
 "created_at":"…","started_at":null,"finished_at":null,"next_attempt_at":null,"expires_at":"…",
 "priority":"standard","session_id":null,"input":"…","output":null,
 "error":null,"incomplete_details":null,"required_actions":[],
 "usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,
          "model_calls":0,"turns":0,"tool_calls":0,"cost_usd":"0.000000"},
 "budget":{"max_turns":20,"max_tokens":null,"max_cost_usd":null,"max_seconds":3600},
 "model":{"requested":"default","served":null,"fallback":false},
 "queue":{"position":42,"depth":310,"estimated_start_at":"…"},
 "attempt":1,"metadata":{},"revision":3,"links":{"self":"/v1/jobs/job_…","events":"…","cancel":"…"}}"""
)
ADDED = {"deadline_at", "estimated_cost_usd", "forked_from", "model.drill"}
"""What has come since."""


def paths(value: dict[str, Any], above: str = "") -> set[str]:
    inner = [paths(item, f"{above}{name}.") for name, item in value.items() if isinstance(item, dict)]
    return {above + name for name in value}.union(*inner)


async def test_the_job_has_the_fields_of_the_contract(http: httpx2.AsyncClient) -> None:
    assert paths(await submitted(http)) == paths(JOB) | ADDED


async def test_times_are_rfc_3339_utc_and_money_is_decimal_strings(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = await ended(http, worker, budget={"max_cost_usd": "0.5"})
    for name in ("created_at", "started_at", "finished_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job[name])
    assert (job["usage"]["cost_usd"], job["budget"]["max_cost_usd"]) == ("0.000000", "0.500000")


async def test_id_order_is_time_order_is_cursor_order(http: httpx2.AsyncClient) -> None:
    made = [(await submitted(http))["id"] for _ in range(3)]
    assert all(ids.is_job_id(one) for one in made)
    assert sorted(made) == made
    assert [job["id"] for job in (await http.get("/v1/jobs")).json()["data"]] == made[::-1]


async def test_unknown_body_fields_are_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/jobs", json=WORK | {"temprature": 1, "budget": {"max_truns": 1}})
    assert pointers(problem(answer, 422, "invalid_request")) == {"#/temprature", "#/budget/max_truns"}


@pytest.mark.parametrize("given", ["text", [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]])
async def test_input_is_a_string_or_messages(http: httpx2.AsyncClient, given: Any) -> None:
    assert (await submitted(http, input=given))["input"] == given


async def test_error_is_type_code_message_retryable(http: httpx2.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert set(document["components"]["schemas"]["ErrorResource"]["properties"]) == {
        "type",
        "code",
        "message",
        "retryable",
    }


async def test_metadata_16_pairs_keys_64_values_512(http: httpx2.AsyncClient) -> None:
    largest = {f"{n:064}": "x" * 512 for n in range(16)}
    assert (await submitted(http, metadata=largest))["metadata"] == largest
    for too_much in (largest | {"more": "x"}, {"k" * 65: "x"}, {"k": "x" * 513}, {"": "x"}, {"k": 1}):
        problem(await http.post("/v1/jobs", json=WORK | {"metadata": too_much}), 422, "invalid_request")


# --- Status ----------------------------------------------------------------------------------------------------------


def test_the_statuses_and_which_of_them_are_ends() -> None:
    before = {"queued", "running", "requires_action", "cancelling"}
    ends = {"succeeded", "incomplete", "failed", "cancelled", "expired"}
    assert set(Status) == before | ends
    assert set(FINISHED) == ends
    assert set(TRANSITIONS) == before, "one table; nothing leads out of an end"


def test_the_reasons_to_wait_and_to_stop() -> None:
    assert set(WaitReason) == {
        "capacity",
        "rate_limit",
        "provider_outage",
        "retry_backoff",
        "scheduled",
        "session_busy",
    } | {"tenant_budget", "tool_server"}
    assert set(IncompleteReason) == {
        "max_turns",
        "budget_exceeded",
        "deadline_exceeded",
        "loop_detected",
        "max_tokens",
        "refusal",
    }


async def test_queued_says_why(http: httpx2.AsyncClient) -> None:
    assert (await submitted(http))["wait_reason"] == "capacity"
    later = await submitted(http, delay_seconds=60)
    assert (later["wait_reason"], later["status"]) == ("scheduled", "queued")
    assert later["next_attempt_at"] > later["created_at"]


@pytest.mark.parametrize(
    ("event", "status"),
    [(Event.SUCCEED, "succeeded"), (Event.STOP_SHORT, "incomplete"), (Event.FAIL, "failed")],
)
async def test_queued_running_and_an_end(http: httpx2.AsyncClient, worker: StandIn, event: Event, status: str) -> None:
    job = await submitted(http)
    seen = [job["status"]]
    await worker.take()
    seen.append(job_of(await http.get(job["links"]["self"]))["status"])
    await worker.finish(job["id"], "As far as it came.", event)
    last = job_of(await http.get(job["links"]["self"]))
    assert [*seen, last["status"]] == ["queued", "running", status]
    assert last["output"] == "As far as it came.", "partial output is kept"


async def test_expired_is_its_time_to_live_passed_before_it_started(http: httpx2.AsyncClient, redis: Redis) -> None:
    job = await submitted(http, ttl_seconds=0.02)
    assert job["expires_at"] > job["created_at"]

    async def expired() -> bool:
        await sweep(redis)  # the watch's part
        return bool(job_of(await http.get(job["links"]["self"]))["status"] == "expired")

    await until(expired)


# --- Rules -----------------------------------------------------------------------------------------------------------


async def test_nothing_accepted_is_lost(http: httpx2.AsyncClient, redis: Redis) -> None:
    """With the 202 there are the record, the queue entry, the key and the counters."""
    answer = await http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": "order-17"})
    job_id = job_of(answer, 202)["id"]
    assert await redis.exists(keys.job(job_id)) == 1
    assert await redis.zscore(keys.queue("acme"), job_id) is not None
    assert len(await keys_like(redis, keys.idempotency("acme", "*"))) == 1
    assert await waiting(redis) == 1


async def test_idempotency_key_same_key_and_body_same_202_and_id(http: httpx2.AsyncClient) -> None:
    first, again = [await http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": "a"}) for _ in range(2)]
    assert job_of(first, 202)["id"] == job_of(again, 202)["id"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")


async def test_idempotency_key_1_to_255_safe_characters(http: httpx2.AsyncClient) -> None:
    for key in ("a", "A-1_b.c:d", "x" * 255):
        job_of(await http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": key}), 202)
    for key in ("", "x" * 256, "a b", "a/b"):
        answer = await http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": key})
        assert pointers(problem(answer, 422, "invalid_request")) == {"Idempotency-Key"}


async def test_idempotency_key_per_tenant(http: httpx2.AsyncClient) -> None:
    made = [
        job_of(await http.post("/v1/jobs", json=WORK, headers=bearer(who) | {"Idempotency-Key": "a"}), 202)["id"]
        for who in ("acme", "globex")
    ]
    assert len(set(made)) == 2


async def test_idempotency_key_a_429_does_not_use_it_up(http: httpx2.AsyncClient) -> None:
    first = job_of(await http.post("/v1/jobs", json=WORK, headers=bearer("small")), 202)
    keyed = bearer("small") | {"Idempotency-Key": "a"}
    problem(await http.post("/v1/jobs", json=WORK, headers=keyed), 429)
    await http.post(first["links"]["cancel"], headers=bearer("small"))
    answer = await http.post("/v1/jobs", json=WORK, headers=keyed)
    job_of(answer, 202)
    assert "idempotency-replayed" not in answer.headers


async def test_idempotency_key_kept_24_h_at_least(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
    await http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": "a"})
    await worker.run()  # keeps jobs for an hour
    (key,) = await keys_like(redis, keys.idempotency("acme", "*"))
    assert await redis.ttl(key) >= 86_390


async def test_idempotency_key_50_racing_submits_make_one_job(http: httpx2.AsyncClient, redis: Redis) -> None:
    racing = (http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": "a"}) for _ in range(50))
    assert len({job_of(answer, 202)["id"] for answer in await asyncio.gather(*racing)}) == 1
    assert await waiting(redis) == 1


async def test_429_when_the_estimated_wait_is_over_max_wait_seconds(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await worker.paced(slots=1, busy_seconds=5000)
    await submitted(http)
    await submitted(http)
    assert "3600 seconds" in problem(await http.post("/v1/jobs", json=WORK), 429, "queue_full")["detail"]


async def test_429_retry_after_is_what_is_ahead_by_the_drain_rate_jittered_1_to_300(
    http: httpx2.AsyncClient, worker: StandIn
) -> None:
    await worker.paced(slots=1, busy_seconds=10)
    for _ in range(DEPTH):
        await submitted(http)
    said = set()
    for _ in range(30):
        answer = await http.post("/v1/jobs", json=WORK)
        problem(answer, 429, "queue_full")
        said.add(int(answer.headers["retry-after"]))
    assert all(DEPTH * 10 / 2 <= seconds <= DEPTH * 10 * 2 for seconds in said)
    assert len(said) > 1, "not all at once"


async def test_429_ratelimit_headers_inform(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/jobs", json=WORK)
    assert answer.headers["ratelimit-policy"] == f'"queue";q={DEPTH}'
    assert answer.headers["ratelimit"].startswith(f'"queue";r={DEPTH - 1};t=')


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/v1/jobs", 405), ("GET", "/v1/jobs?limit=x", 422), ("POST", "/v1/jobs", 415)],
)
async def test_errors_are_problem_documents_fastapis_own_included(
    http: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)
    body = problem(answer, status)  # all the fields, the content type, the request id
    assert body["instance"] == path.partition("?")[0]


async def test_errors_the_codes_are_an_enum_in_the_document(http: httpx2.AsyncClient) -> None:
    assert set((await http.get("/openapi.json")).json()["components"]["schemas"]["Code"]["enum"]) == set(Code)


@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs", "/nowhere", "/docs"])
async def test_x_request_id_on_every_answer_and_no_store(http: httpx2.AsyncClient, path: str) -> None:
    made = await http.get(path)
    assert re.fullmatch(r"req_[0-9a-f]{32}", made.headers["x-request-id"])
    assert made.headers["cache-control"] == "no-store"
    for given, kept in (("x" * 128, True), ("x" * 129, False), ("a b", False)):
        answer = await http.get(path, headers={"X-Request-Id": given})
        assert (answer.headers["x-request-id"] == given) is kept


async def test_traceparent_is_carried_through_the_queue(http: httpx2.AsyncClient, worker: StandIn) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await http.post("/v1/jobs", json=WORK, headers={"traceparent": trace})
    (job,) = await worker.take()
    assert job.spec.traceparent == trace


async def test_auth_bearer(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/jobs", headers={"Authorization": "Bearer globex"})).status_code == 200
    for wrong in ("globex", "Basic globex", "Bearer", "Bearer GLOBEX"):
        answer = await http.get("/v1/jobs", headers={"Authorization": wrong})
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_auth_keys_are_kept_as_digests(api: ServiceProcess, http: httpx2.AsyncClient) -> None:
    """No key is in the settings; and none that comes in is written down."""
    problem(await http.get("/v1/jobs", headers=bearer("a-key-nobody-has")), 401)
    assert not re.search(r'"acme"|"acme-reads"', SETTINGS)
    assert "a-key-nobody-has" not in api.log_text()


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, 0),
        ({"SLUICE_API__HOST": "192.0.2.1"}, 2),
        ({"SLUICE_API__HOST": "192.0.2.1", "SLUICE_ALLOW_ANONYMOUS": "1"}, 0),
    ],
    ids=["open on loopback", "not elsewhere", "unless told so"],
)
def test_auth_no_keys(settings: dict[str, str], code: int) -> None:
    assert start(**settings).returncode == code


async def test_body_413_before_it_is_read(api: ServiceProcess, http: httpx2.AsyncClient) -> None:
    """Told by its length alone: not a byte of it has been sent."""
    head = (
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer acme\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1048577\r\n\r\n"
    )
    address = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head)
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


BODIES = {
    "depth-limited": (b'{"agent":"assistant","input":[{"role":"user","content":[%s]}]}' % (b"[" * 40 + b"]" * 40), 422),
    "bottomless": (b"[" * 100_000, 400),
    "strict UTF-8": (b'{"agent":"assistant","input":"\xff"}', 400),
    "NaN": (b'{"agent":"assistant","input":"x","delay_seconds":NaN}', 400),
    "a lone surrogate": (b'{"agent":"assistant","input":"\\ud800"}', 400),
    "NUL": (b'{"agent":"assistant","input":"\\u0000"}', 422),
}


@pytest.mark.parametrize(("raw", "status"), BODIES.values(), ids=BODIES.keys())
async def test_body_is_refused(http: httpx2.AsyncClient, redis: Redis, raw: bytes, status: int) -> None:
    problem(await http.post("/v1/jobs", content=raw, headers={"Content-Type": "application/json"}), status)
    assert await waiting(redis) == 0
