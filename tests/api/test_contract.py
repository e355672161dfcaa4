"""The HTTP contract, row by row: its table of endpoints, each cell with one direct case, in its order.

Jobs and rules are in `test_contract_rules.py`, webhooks and what takes a real worker in `test_contract_webhooks.py`.
What a row says at length is proved in the test file of its subject.
"""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.app import create_app
from api.event_stream import PING_SECONDS
from api.parts import Parts
from api.routes.jobs import LONGEST_WAIT_SECONDS
from local.redis_server import RedisServer
from shared import ids, keys
from shared.redis_client import Redis
from shared.settings import Settings
from tests.api.contract import DEPTH, SETTINGS, URL, api, ended, http, refused, spend, submitted, unkeyed
from tests.api.event_reader import reading
from tests.api.talk import (
    WORK,
    StandIn,
    check_job,
    client,
    job_of,
    pointers,
    problem,
    waiting,
)
from tests.api.tenancy import api_of, bearer
from tests.api.test_turns import asks, result, running

__all__ = ["api", "http", "unkeyed"]  # fixtures

# --- POST /v1/jobs: answers ------------------------------------------------------------------------------------------


async def test_post_jobs_202_location_retry_after_etag(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/jobs", json=WORK)
    job = job_of(answer, 202)
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["etag"] == 'W/"1"'


async def test_post_jobs_200_with_prefer_wait_when_it_finished_in_time(
    http: httpx2.AsyncClient, worker: StandIn
) -> None:
    submit = asyncio.create_task(http.post("/v1/jobs", json=WORK, headers={"Prefer": "wait=30"}))
    while not (taken := await worker.take()):
        assert not submit.done()
    await worker.finish(taken[0].id, "42")
    answer = await submit
    assert job_of(answer, 200)["output"] == "42"
    assert answer.headers["preference-applied"] == "wait=30"


async def test_post_jobs_prefer_wait_60_at_most(http: httpx2.AsyncClient, worker: StandIn) -> None:
    keyed = {"Idempotency-Key": "long"}
    await http.post("/v1/jobs", json=WORK, headers=keyed)
    await worker.run()
    answer = await http.post("/v1/jobs", json=WORK, headers=keyed | {"Prefer": "wait=3600"})
    assert answer.headers["preference-applied"] == "wait=60"


# --- POST /v1/jobs: refuses ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """A cell of the table: a request, and the error that answers it."""

    status: int
    code: str
    body: bytes | dict[str, Any] = field(default_factory=lambda: WORK)
    who: str = "acme"
    kind: str = "application/json"


REFUSED = {
    "400 bad JSON": Refused(400, "bad_json", b'{"agent":"assistant","input":'),
    "401": Refused(401, "unauthorized", who="nobody"),
    "403 key without the scope": Refused(403, "insufficient_scope", who="acme-reads"),
    "403 agent not allowed": Refused(403, "agent_not_allowed", who="picky"),
    "413": Refused(413, "body_too_large", WORK | {"input": "x" * 1_048_577}),
    "415": Refused(415, "unsupported_media_type", kind="text/plain"),
    "422 validation": Refused(422, "invalid_request", WORK | {"priority": "urgent"}),
    "422 unknown agent": Refused(422, "unknown_agent", WORK | {"agent": "nobody"}),
    "422 url_not_allowed": Refused(422, "url_not_allowed", WORK | {"webhook": {"url": "http://hooks.example/"}}),
}


@pytest.mark.parametrize("cell", REFUSED.values(), ids=REFUSED.keys())
async def test_post_jobs_refuses(http: httpx2.AsyncClient, redis: Redis, cell: Refused) -> None:
    content = cell.body if isinstance(cell.body, bytes) else json.dumps(cell.body).encode()
    headers = bearer(cell.who) | {"Content-Type": cell.kind}
    answer = await http.post("/v1/jobs", content=content, headers=headers)
    refused(answer, cell.status, cell.code)
    assert await waiting(redis) == 0


async def test_post_jobs_409_session_busy(http: httpx2.AsyncClient, redis: Redis) -> None:
    alone = WORK | {"session_id": "chat-1", "on_conflict": "reject"}
    live = job_of(await http.post("/v1/jobs", json=alone), 202)
    body = refused(await http.post("/v1/jobs", json=alone), 409, "session_busy")
    assert live["id"] in body["detail"]
    assert await waiting(redis) == 1


async def test_post_jobs_422_same_key_with_another_body(http: httpx2.AsyncClient) -> None:
    keyed = {"Idempotency-Key": "order-17"}
    await http.post("/v1/jobs", json=WORK, headers=keyed)
    refused(await http.post("/v1/jobs", json=WORK | {"input": "y"}, headers=keyed), 422, "idempotency_conflict")


async def test_post_jobs_429_queue_full(http: httpx2.AsyncClient, worker: StandIn) -> None:
    for _ in range(DEPTH):
        await worker.add(tenant="globex")
    refused(await http.post("/v1/jobs", json=WORK), 429, "queue_full")


async def test_post_jobs_429_tenant_quota(http: httpx2.AsyncClient) -> None:
    job_of(await http.post("/v1/jobs", json=WORK, headers=bearer("small")), 202)
    refused(await http.post("/v1/jobs", json=WORK, headers=bearer("small")), 429, "tenant_quota")


async def test_post_jobs_429_tenant_rate(http: httpx2.AsyncClient) -> None:
    job_of(await http.post("/v1/jobs", json=WORK, headers=bearer("hasty")), 202)
    refused(await http.post("/v1/jobs", json=WORK, headers=bearer("hasty")), 429, "tenant_rate")


async def test_post_jobs_429_tenant_budget(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
    job_of(await http.post("/v1/jobs", json=WORK, headers=bearer("frugal")), 202)
    await spend(redis, worker, cost_nano=500_000_000)
    refused(await http.post("/v1/jobs", json=WORK, headers=bearer("frugal")), 429, "tenant_budget")


async def test_post_jobs_503_store_unavailable(tmp_path: Path) -> None:
    with RedisServer() as own, api_of(SETTINGS, tmp_path, own.url) as process:
        async with client(process.url, headers=bearer("acme")) as http:
            own.kill()
            answer = await http.post("/v1/jobs", json=WORK)
            refused(answer, 503, "store_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            # readyz: by Redis alone; healthz: the process only
            assert (await http.get("/readyz")).status_code == 503
            assert (await http.get("/healthz")).status_code == 200


async def test_post_jobs_503_draining(redis: Redis) -> None:
    parts = Parts(Settings(), redis, draining=True)
    transport = httpx2.ASGITransport(create_app(parts))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
        answer = await http.post("/v1/jobs", json=WORK)
        refused(answer, 503, "draining")
        assert answer.headers["retry-after"] == "1"
        assert (await http.get("/readyz")).status_code == 503


async def test_post_jobs_410_gone(http: httpx2.AsyncClient, worker: StandIn) -> None:
    keyed = {"Idempotency-Key": "order-17"}
    job = job_of(await http.post("/v1/jobs", json=WORK, headers=keyed), 202)
    await worker.run()
    await http.delete(job["links"]["self"])
    refused(await http.post("/v1/jobs", json=WORK, headers=keyed), 410, "gone")


# --- GET /v1/jobs/{id}?wait=25 ---------------------------------------------------------------------------------------


async def test_get_job_200_etag_and_retry_after_while_not_finished(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = await submitted(http)
    answer = await http.get(job["links"]["self"])
    assert answer.headers["etag"] == 'W/"1"'
    assert int(answer.headers["retry-after"]) >= 1
    await worker.run()
    answer = await http.get(job["links"]["self"])
    assert job_of(answer)["status"] == "succeeded"
    assert "retry-after" not in answer.headers


async def test_get_job_304_on_if_none_match(http: httpx2.AsyncClient) -> None:
    job = await submitted(http)
    answer = await http.get(job["links"]["self"], headers={"If-None-Match": 'W/"1"'})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_get_job_long_poll_returns_at_once_when_the_revision_changes(
    http: httpx2.AsyncClient, worker: StandIn
) -> None:
    job = await submitted(http)
    poll = asyncio.create_task(http.get(f"{job['links']['self']}?wait=25", headers={"If-None-Match": 'W/"1"'}))
    await worker.take()
    async with asyncio.timeout(20):
        assert job_of(await poll)["status"] == "running"


async def test_get_job_long_poll_60_s_at_most(http: httpx2.AsyncClient, worker: StandIn) -> None:
    """More is taken for 60, not refused."""
    job = await ended(http, worker)
    assert job_of(await http.get(f"{job['links']['self']}?wait=100000"))["status"] == "succeeded"
    assert LONGEST_WAIT_SECONDS == 60


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "?wait=25"),
        ("POST", "/cancel"),
        ("DELETE", ""),
        ("GET", "/events"),
        ("GET", "/turns"),
    ],
)
async def test_job_401_and_404_also_for_another_tenants(http: httpx2.AsyncClient, method: str, path: str) -> None:
    job = await submitted(http)
    here = job["links"]["self"] + path
    problem(await http.request(method, here, headers=bearer("nobody")), 401, "unauthorized")
    theirs = problem(await http.request(method, here, headers=bearer("globex")), 404, "not_found")
    missing = problem(await http.request(method, f"/v1/jobs/{ids.new_job_id()}{path}"), 404, "not_found")
    assert theirs["detail"] == missing["detail"]
    assert job_of(await http.get(job["links"]["self"]))["status"] == "queued"


# --- GET /v1/jobs ----------------------------------------------------------------------------------------------------


async def test_list_jobs_200(http: httpx2.AsyncClient) -> None:
    made = [(await submitted(http))["id"] for _ in range(3)]
    page = (await http.get("/v1/jobs?limit=2")).json()
    assert set(page) == {"object", "data", "has_more", "first_id", "last_id"}
    assert (page["object"], page["has_more"], page["first_id"], page["last_id"]) == ("list", True, made[2], made[1])
    for job in page["data"]:
        check_job(job)


async def test_list_jobs_filters(http: httpx2.AsyncClient) -> None:
    job = await submitted(http, agent="frugal", session_id="s-1")
    other = await submitted(http)
    await http.post(other["links"]["cancel"])
    for query in (
        {"status": "queued"},
        {"agent": "frugal"},
        {"session_id": "s-1"},
        {"created_after": "2000-01-01T00:00:00Z", "agent": "frugal"},
        {"created_before": "2999-01-01T00:00:00Z", "status": "queued"},
        {"after": other["id"]},
    ):
        found = (await http.get("/v1/jobs", params=query)).json()["data"]
        assert [one["id"] for one in found] == [job["id"]], query
    assert (await http.get("/v1/jobs?created_after=2999-01-01T00:00:00Z")).json()["data"] == []
    assert [one["id"] for one in (await http.get(f"/v1/jobs?before={job['id']}")).json()["data"]] == [other["id"]]


async def test_list_jobs_limit_1_to_100(http: httpx2.AsyncClient) -> None:
    for limit in (1, 100):
        assert (await http.get(f"/v1/jobs?limit={limit}")).status_code == 200
    for limit in (0, 101, -1):
        problem(await http.get(f"/v1/jobs?limit={limit}"), 422, "invalid_request")


async def test_list_jobs_limit_is_20(http: httpx2.AsyncClient, worker: StandIn) -> None:
    for _ in range(21):
        await worker.add(tenant="acme")
    assert len((await http.get("/v1/jobs")).json()["data"]) == 20


async def test_list_jobs_400_bad_cursor(http: httpx2.AsyncClient) -> None:
    for name in ("after", "before"):
        body = refused(await http.get(f"/v1/jobs?{name}=yesterday"), 400, "bad_cursor")
        assert pointers(body) == {f"?{name}"}


# --- POST /v1/jobs/{id}/cancel, DELETE /v1/jobs/{id} -----------------------------------------------------------------


async def test_cancel_200_when_it_was_queued_or_is_finished_already(http: httpx2.AsyncClient) -> None:
    job = await submitted(http)
    first, again = [job_of(await http.post(job["links"]["cancel"]), 200) for _ in range(2)]
    assert first == again
    assert first["status"] == "cancelled"


async def test_cancel_202_while_it_runs_and_idempotent(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = await submitted(http)
    await worker.take()
    first, again = [job_of(await http.post(job["links"]["cancel"]), 202) for _ in range(2)]
    assert first == again
    assert first["status"] == "cancelling"
    await worker.finish(job["id"])
    assert job_of(await http.get(job["links"]["self"]))["status"] == "cancelled"


async def test_delete_204_erases_input_output_turns_events(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = await ended(http, worker)
    answer = await http.delete(job["links"]["self"])
    assert (answer.status_code, answer.content) == (204, b"")
    for path in ("", "/events", "/turns"):
        problem(await http.get(job["links"]["self"] + path), 404, "not_found")
    problem(await http.delete(job["links"]["self"]), 404, "not_found")


async def test_delete_409_not_finished(http: httpx2.AsyncClient) -> None:
    job = await submitted(http)
    assert "cancel it" in refused(await http.delete(job["links"]["self"]), 409, "not_finished")["detail"]


# --- GET /v1/jobs/{id}/events, …/turns -------------------------------------------------------------------------------


async def test_events_sse_or_a_json_list_with_a_sequence_number_per_job(
    http: httpx2.AsyncClient, worker: StandIn
) -> None:
    job = await ended(http, worker)
    page = (await http.get(job["links"]["events"])).json()
    assert set(page) == {"object", "data", "has_more", "first_id", "last_id"}
    async with reading(http, job["id"]) as reader:
        streamed = [event async for event in reader]
    assert streamed == page["data"]
    assert [event["id"] for event in streamed] == [1, 2, 3]
    assert [event["type"] for event in streamed] == ["job.queued", "job.running", "job.succeeded"]


async def test_events_last_event_id_is_starting_after(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = await ended(http, worker)
    by_query = await http.get(f"{job['links']['events']}?starting_after=1")
    by_header = await http.get(job["links"]["events"], headers={"Last-Event-ID": "1"})
    assert by_query.json() == by_header.json()
    assert by_query.json()["first_id"] == 2
    refused(await http.get(job["links"]["events"], headers={"Last-Event-ID": "x"}), 400, "bad_cursor")


async def test_events_kept_as_long_as_the_job(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job = await ended(http, worker)
    of_job, of_events = [await redis.pttl(key) for key in (keys.job(job["id"]), keys.events(job["id"]))]
    assert of_events >= of_job - 1000 > 0


def test_events_ping_15_s() -> None:
    assert PING_SECONDS == 15


async def test_events_204_once_the_job_is_finished_and_the_cursor_is_at_the_end(
    http: httpx2.AsyncClient, worker: StandIn
) -> None:
    job = await ended(http, worker)
    for headers in ({}, {"Accept": "text/event-stream"}):
        answer = await http.get(f"{job['links']['events']}?starting_after=3", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")


async def test_turns_200_with_usage_and_cost_and_each_tool_calls_outcome(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await running(worker, redis, asks("clock"), result("clock", "noon"), tenant="acme")
    (turn,) = (await http.get(f"/v1/jobs/{job_id}/turns")).json()["data"]
    assert turn["usage"]["cost_usd"] == "0.001230"
    assert [(call["name"], call["outcome"]) for call in turn["tool_calls"]] == [("clock", "succeeded")]


# --- GET /v1/agents, /v1/queue, /v1/limits, /v1/workers --------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/agents", "/v1/queue", "/v1/limits", "/v1/workers"])
async def test_operations_200_and_401(http: httpx2.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 200
    problem(await http.get(path, headers=bearer("nobody")), 401, "unauthorized")


async def test_agents_the_catalogue(http: httpx2.AsyncClient) -> None:
    assert [agent["name"] for agent in (await http.get("/v1/agents")).json()["data"]] == ["assistant", "frugal"]


async def test_queue_depth_running_parked_drain_rate(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await worker.paced(slots=4, busy_seconds=2)
    await submitted(http)
    await worker.take()
    await submitted(http)
    await submitted(http, delay_seconds=60)
    queue = (await http.get("/v1/queue")).json()
    assert (queue["depth"], queue["running"], queue["parked"], queue["drain_rate_per_second"]) == (2, 1, 1, 2.0)


async def test_limits_per_target_limit_used_reserved_waiting_breaker(http: httpx2.AsyncClient) -> None:
    (pool,) = (await http.get("/v1/limits")).json()["data"]
    assert {"limit_per_minute", "used_last_minute", "reserved"} <= set(pool["input_tokens"])
    assert (pool["waiting"]["total"], pool["breaker"], pool["targets"]) == (0, "closed", ["default"])


async def test_workers_live_ones_with_what_they_run(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = await submitted(http)
    await worker.take()
    (seen,) = (await http.get("/v1/workers")).json()["data"]
    assert [one["id"] for one in seen["jobs"]] == [job["id"]]


# --- /v1/webhook_endpoints, /v1/webhook_deliveries -------------------------------------------------------------------


async def test_webhook_endpoints_201_secret_shown_once_200_204_202(http: httpx2.AsyncClient) -> None:
    made = await http.post("/v1/webhook_endpoints", json={"url": URL})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    here = made.headers["location"]
    assert here == f"/v1/webhook_endpoints/{made.json()['id']}"
    for path in (here, "/v1/webhook_endpoints"):
        answer = await http.get(path)
        assert answer.status_code == 200
        assert "whsec_" not in answer.text
    rotated = await http.post(f"{here}/rotate")
    assert rotated.status_code == 200
    assert rotated.json()["secret"] != made.json()["secret"]
    assert (await http.post(f"{here}/test")).status_code == 202
    assert (await http.delete(here)).status_code == 204
    problem(await http.get(here), 404, "not_found")


async def test_webhook_endpoints_422_url_not_allowed(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/webhook_endpoints", json={"url": "http://hooks.example/"})
    assert pointers(refused(answer, 422, "url_not_allowed")) == {"#/url"}


async def test_webhook_deliveries_by_job_and_replay_202(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job = await ended(http, worker, webhook={"url": URL})
    await ended(http, worker, webhook={"url": URL})
    (delivery,) = (await http.get(f"/v1/webhook_deliveries?job_id={job['id']}")).json()["data"]
    assert (delivery["type"], delivery["job_id"]) == ("job.succeeded", job["id"])
    assert (await http.post(f"/v1/webhook_deliveries/{delivery['id']}/replay")).status_code == 202


# --- GET /healthz, /readyz, /metrics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_healthz_readyz_metrics_need_no_key(unkeyed: httpx2.AsyncClient, path: str) -> None:
    assert (await unkeyed.get(path)).status_code == 200


async def test_metrics_prometheus_text(unkeyed: httpx2.AsyncClient) -> None:
    answer = await unkeyed.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "\nsluice_queue_waiting_jobs " in answer.text
