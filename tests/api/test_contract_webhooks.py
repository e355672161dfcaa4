"""The HTTP contract: its webhooks bullet by bullet, and what else takes a real worker."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

import httpx2
import pytest
from jsonschema_rs import validator_for
from standardwebhooks import Webhook as Verifier

from api.webhook_schemas import EventName
from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.clock import from_rfc3339
from shared.errors import UrlNotAllowed
from shared.receiver import UrlPolicy, receiver
from shared.redis_client import Redis
from shared.webhook import USUAL_EVENTS
from tests.api.talk import WORK, client, job_of, pointers, problem, tracebacks
from tests.prompts import scripted
from tests.stack import Stack
from tests.waiting import until
from tests.worker.webhooks.listening import Got, Listening, answer, listening
from worker.webhooks.schedule import PAUSES_SECONDS, pause
from worker.webhooks.sender import ATTEMPT_SECONDS

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OPEN = {"SLUICE_WEBHOOKS__ALLOW_HTTP": "true", "SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS": "true"}
HOUR = 3600


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """Of the module's own: a worker that is there all the time wants nothing taken away under it."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def stack(store: RedisServer, provider_server: ProviderProcess) -> Iterator[Stack]:
    with Stack(store.url, provider_server.url, **OPEN) as running:
        running.add_worker()
        yield running
    assert not [line for worker in running.workers for line in tracebacks(worker.log)]


@pytest.fixture
async def http(stack: Stack, provider: ProviderProcess) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an api that has a worker."""
    async with client(stack.api.url) as talking:
        await until(lambda: agents_are_there(talking))
        yield talking


async def agents_are_there(http: httpx2.AsyncClient) -> bool:
    return bool((await http.get("/v1/agents")).json()["data"])


async def told(http: httpx2.AsyncClient, there: Listening, **webhook: Any) -> tuple[dict[str, Any], list[Got]]:
    """A job that has ended, and what its receiver has got."""
    job = job_of(await http.post("/v1/jobs", json=WORK | {"webhook": {"url": there.url} | webhook}), 202)
    wanted = len(webhook.get("events", [1]))
    await until(lambda: len(there.got) >= wanted)
    return job_of(await http.get(job["links"]["self"])), there.got


async def endpoint(http: httpx2.AsyncClient, there: Listening) -> dict[str, Any]:
    made = await http.post("/v1/webhook_endpoints", json={"url": there.url})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


# --- What comes ------------------------------------------------------------------------------------------------------


async def test_body_type_timestamp_data_as_the_document_says(http: httpx2.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    async with listening() as there:
        job, (got,) = await told(http, there)
    body = got.json
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "job.succeeded"
    assert from_rfc3339(body["timestamp"]) >= from_rfc3339(job["created_at"])
    shown = {"id", "object", "status", "agent", "session_id", "metadata", "usage", "revision", "output"}
    assert body["data"] == {name: job[name] for name in shown}
    sent = document["webhooks"]["job.succeeded"]["post"]
    schema = sent["requestBody"]["content"]["application/json"]["schema"]
    assert validator_for(schema | {"components": document["components"]}).is_valid(body)
    assert {one["name"] for one in sent["parameters"]} <= set(got.headers)


async def test_output_is_inside_when_it_is_20_kb_at_most_else_fetched_from_the_job(http: httpx2.AsyncClient) -> None:
    async with listening() as there:
        for length, inside in ((6_600, True), (7_000, False)):  # of three bytes each
            there.got.clear()
            body = {"agent": "assistant", "input": scripted(turns=[{"text": "€" * length}])}
            job = job_of(await http.post("/v1/jobs", json=body | {"webhook": {"url": there.url}}), 202)
            await until(lambda: len(there.got) == 1)
            output = job_of(await http.get(job["links"]["self"]))["output"]
            assert len(output) == length
            assert there.got[0].json["data"].get("output") == (output if inside else None)
            assert ("output" in there.got[0].json["data"]) is inside


def test_types_and_job_started_is_opt_in() -> None:
    ends = {"job.succeeded", "job.incomplete", "job.failed", "job.cancelled", "job.expired"}
    assert set(get_args(EventName)) == ends | {"job.started", "job.requires_action"}
    assert set(USUAL_EVENTS) == ends | {"job.requires_action"}


async def test_an_optional_events_list(http: httpx2.AsyncClient) -> None:
    async with listening() as there:
        _, got = await told(http, there, events=["job.started", "job.succeeded"])
    assert {one.json["type"] for one in got} == {"job.started", "job.succeeded"}


# --- Signed per Standard Webhooks ------------------------------------------------------------------------------------


async def test_signed_and_verified_by_standardwebhooks(http: httpx2.AsyncClient) -> None:
    async with listening() as there:
        made = await endpoint(http, there)
        job = WORK | {"webhook": {"endpoint_id": made["id"]}}
        job_of(await http.post("/v1/jobs", json=job), 202)
        await until(lambda: len(there.got) == 1)
        (got,) = there.got
        assert made["secret"].startswith("whsec_")
        assert re.fullmatch(r"msg_[0-9a-f-]{36}_\d+", got.headers["webhook-id"])
        assert got.headers["webhook-timestamp"].isdigit()
        assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", got.headers["webhook-signature"])
        assert Verifier(made["secret"]).verify(got.body, got.headers) == got.json

        # webhook-id is stable over replays, and after a rotation both secrets sign for 24 h
        rotation = (await http.post(f"/v1/webhook_endpoints/{made['id']}/rotate")).json()
        assert (await http.post(f"/v1/webhook_deliveries/{got.headers['webhook-id']}/replay")).status_code == 202
        await until(lambda: len(there.got) == 2)
    again = there.got[1]
    assert again.headers["webhook-id"] == got.headers["webhook-id"]
    for secret in (made["secret"], rotation["secret"]):
        assert Verifier(secret).verify(again.body, again.headers) == got.json
    kept_ms = from_rfc3339(rotation["previous_secret_expires_at"]) - from_rfc3339(made["created_at"])
    assert kept_ms >= 24 * HOUR * 1000


# --- Attempts --------------------------------------------------------------------------------------------------------


def test_attempts_at_0_5s_5min_30min_2h_5h_10h_14h_20h_24h_give_or_take_20_percent_timeout_15s() -> None:
    assert PAUSES_SECONDS == (5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
    for tries, planned in enumerate(PAUSES_SECONDS, 1):
        assert all(0.8 * planned <= (pause(tries, None) or 0) <= 1.2 * planned for _ in range(50))
    assert next(tries for tries in itertools.count(1) if pause(tries, None) is None) == 10
    assert ATTEMPT_SECONDS == 15


@pytest.mark.parametrize("status", [200, 204, 301, 404, 500])
async def test_only_2xx_counts_and_no_redirects(http: httpx2.AsyncClient, status: int) -> None:
    async with listening() as elsewhere, listening(answer(status, b"", f"Location: {elsewhere.url}")) as there:
        job, _ = await told(http, there)
        delivery = await settled_delivery(http, job["id"])
    assert delivery["status"] == ("delivered" if status < 300 else "pending")
    assert [one["status"] for one in delivery["attempts"]] == [status], "every attempt is kept"
    assert delivery["attempts"][0]["latency_ms"] >= 0
    assert delivery["attempts"][0]["answer"] is None, "off by default"
    assert elsewhere.got == []


async def test_410_disables_the_endpoint(http: httpx2.AsyncClient) -> None:
    async with listening(answer(410)) as there:
        made = await endpoint(http, there)
        job = job_of(await http.post("/v1/jobs", json=WORK | {"webhook": {"endpoint_id": made["id"]}}), 202)
        delivery = await settled_delivery(http, job["id"])
    assert (delivery["status"], delivery["reason"]) == ("failed", "gone")
    seen = (await http.get(f"/v1/webhook_endpoints/{made['id']}")).json()
    assert (seen["status"], seen["disabled_reason"]) == ("disabled", "gone")


async def test_retry_after_is_honoured(http: httpx2.AsyncClient) -> None:
    async with listening(answer(503, b"", "Retry-After: 1000")) as there:
        job, _ = await told(http, there)
        delivery = await settled_delivery(http, job["id"])
    (attempt,) = delivery["attempts"]
    assert from_rfc3339(delivery["next_attempt_at"]) - from_rfc3339(attempt["at"]) >= 1_000_000


async def settled_delivery(http: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job's only delivery once an attempt has been written down."""
    found: list[dict[str, Any]] = []

    async def attempted() -> bool:
        found[:] = (await http.get(f"/v1/webhook_deliveries?job_id={job_id}")).json()["data"]
        return bool(found and found[0]["attempts"])

    await until(attempted)
    return found[0]


# --- SSRF ------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "https only": "http://hooks.example/",
    "no userinfo": "https://user:password@hooks.example/",
    "private": "https://10.0.0.1/",
    "loopback": "https://127.0.0.1/",
    "localhost": "https://localhost/",
    "loopback, IPv6": "https://[::1]/",
    "an IPv4 address inside of IPv6": "https://[::ffff:127.0.0.1]/",
    "an address as one number": "https://2130706433/",
    "link-local and metadata": "https://169.254.169.254/latest/meta-data",
    "multicast": "https://224.0.0.1/",
    "CGNAT": "https://100.64.0.1/",
    "NAT64": "https://[64:ff9b::7f00:1]/",
    "6to4": "https://[2002:7f00:1::]/",
    "6to4 relays": "https://192.88.99.1/",
}


@pytest.mark.parametrize("url", HOSTILE.values(), ids=HOSTILE.keys())
def test_ssrf_refused(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        receiver(url, UrlPolicy())


async def test_ssrf_checked_at_connect_time_by_the_worker(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    """As rebinding would: the api has taken the name, and the worker finds that it stands for loopback."""
    async with listening() as there:
        with Stack(redis_server.url, provider.url, **OPEN) as stack:
            await asyncio.to_thread(stack.add_worker, SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS="false")
            async with client(stack.api.url) as http:
                await until(lambda: agents_are_there(http))
                webhook = {"url": f"http://localhost:{there.port}/"}
                job = job_of(await http.post("/v1/jobs", json=WORK | {"webhook": webhook}), 202)

                async def refused() -> bool:
                    found = (await http.get(f"/v1/webhook_deliveries?job_id={job['id']}")).json()["data"]
                    return bool(found and found[0]["reason"] == "url_not_allowed")

                await until(refused)
    assert there.connections == 0


async def test_a_webhook_names_one_receiver(http: httpx2.AsyncClient) -> None:
    for webhook in ({}, {"url": "https://hooks.example/", "endpoint_id": "whe_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"}):
        answered = await http.post("/v1/jobs", json=WORK | {"webhook": webhook})
        assert pointers(problem(answered, 422, "invalid_request")) == {"#/webhook"}


# --- Elsewhere in the contract: what takes a worker ------------------------------------------------------------------


async def test_the_worker_has_its_own_healthz_readyz_and_metrics(stack: Stack, http: httpx2.AsyncClient) -> None:
    async with client(stack.workers[-1].url) as worker:
        assert (await worker.get("/healthz")).json() == {"status": "ok"}
        ready = await worker.get("/readyz")
        assert ready.status_code == 200
        assert "redis" in ready.json()["checks"]
        assert len(ready.json()["checks"]) >= 2, "and a probe of the provider"
        assert "sluice_" in (await worker.get("/metrics")).text


async def test_traceparent_is_carried_to_the_provider_call(redis: Redis, redis_server: RedisServer) -> None:
    async with listening(answer(400)) as provider:
        with Stack(redis_server.url, f"http://127.0.0.1:{provider.port}") as stack:
            await asyncio.to_thread(stack.add_worker)
            async with client(stack.api.url, headers={"traceparent": TRACE}) as http:
                await until(lambda: agents_are_there(http))
                job_of(await http.post("/v1/jobs", json=WORK), 202)
                await until(lambda: any(got.line.startswith("POST /v1/messages") for got in provider.got))
    asked = next(got for got in provider.got if got.line.startswith("POST /v1/messages"))
    assert asked.headers["traceparent"].split("-")[1] == TRACE.split("-")[1]
