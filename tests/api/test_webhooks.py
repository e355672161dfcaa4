"""Endpoints, deliveries and a job's `webhook` over HTTP: secrets shown once, hostile URLs refused, tenants apart."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import ids, keys
from shared.delivery import DeliveryState, FailedBecause, Try
from shared.endpoints import MOST_ENDPOINTS
from shared.outbox import Outbox, Room, Settlement
from shared.redis_client import Redis
from shared.webhook import EventType
from tests.api.talk import WORK, StandIn, announce, client, digest, job_of, pointers, problem, tracebacks
from tests.api.tenancy import api_of
from tests.shared.test_receiver import NOT_PUBLIC, NUMBERS, ODD

ACME, GLOBEX = {"Authorization": "Bearer acme-key"}, {"Authorization": "Bearer globex-key"}
TENANTS = f"""
[tenants.acme]
key_digests = ["{digest("acme-key")}"]
[tenants.globex]
key_digests = ["{digest("globex-key")}"]
"""
URL = "https://hooks.example/in"
ENDPOINT = {"id", "object", "url", "description", "created_at", "status", "disabled_at", "disabled_reason"}


@pytest.fixture(scope="module")
def api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(TENANTS, tmp_path_factory.mktemp("webhooks"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)
    assert "whsec_" not in str(process.log)


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(api.url, headers=ACME) as talking:
        yield talking


@pytest.fixture
def outbox(redis: Redis) -> Outbox:
    return Outbox(redis, retention_ms=3_600_000)


async def made(http: httpx2.AsyncClient, url: str = URL) -> dict[str, Any]:
    answer = await http.post("/v1/webhook_endpoints", json={"url": url})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def told(http: httpx2.AsyncClient, worker: StandIn, webhook: dict[str, Any], **options: Any) -> str:
    """A finished job with that webhook."""
    job = job_of(await http.post("/v1/jobs", json=WORK | {"webhook": webhook}, **options), 202)
    await worker.run()
    return str(job["id"])


async def deliveries(http: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/v1/webhook_deliveries", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_an_endpoint_shows_its_secret_once(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/webhook_endpoints", json={"url": URL, "description": "billing"})

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == ENDPOINT | {"secret"}
    assert (body["url"], body["description"], body["status"]) == (URL, "billing", "enabled")
    assert body["secret"].startswith("whsec_")
    assert answer.headers["location"] == f"/v1/webhook_endpoints/{body['id']}"
    for path in ("/v1/webhook_endpoints", f"/v1/webhook_endpoints/{body['id']}"):
        read = await http.get(path)
        assert read.status_code == 200
        assert "whsec_" not in read.text
    assert (await http.get(answer.headers["location"])).json() == {k: v for k, v in body.items() if k != "secret"}


async def test_endpoints_are_listed_oldest_first_and_deleted(http: httpx2.AsyncClient) -> None:
    first, second = await made(http), await made(http, "https://hooks.example/2")
    assert [one["id"] for one in (await http.get("/v1/webhook_endpoints")).json()["data"]] == [
        first["id"],
        second["id"],
    ]

    assert (await http.delete(f"/v1/webhook_endpoints/{first['id']}")).status_code == 204

    problem(await http.get(f"/v1/webhook_endpoints/{first['id']}"), 404, "not_found")
    problem(await http.delete(f"/v1/webhook_endpoints/{first['id']}"), 404, "not_found")
    assert [one["id"] for one in (await http.get("/v1/webhook_endpoints")).json()["data"]] == [second["id"]]


async def test_a_rotation_shows_the_new_secret_once_and_how_long_the_old_one_lives(http: httpx2.AsyncClient) -> None:
    endpoint = await made(http)

    answer = await http.post(f"/v1/webhook_endpoints/{endpoint['id']}/rotate")

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"id", "object", "secret", "previous_secret_expires_at"}
    assert body["secret"] != endpoint["secret"]
    assert body["previous_secret_expires_at"] > endpoint["created_at"]
    assert "whsec_" not in (await http.get("/v1/webhook_endpoints")).text


async def test_the_secret_for_job_urls_can_be_asked_for(http: httpx2.AsyncClient) -> None:
    first = (await http.post("/v1/webhook_endpoints/job_urls/rotate")).json()
    assert first["previous_secret_expires_at"] is None
    again = (await http.post("/v1/webhook_endpoints/job_urls/rotate")).json()
    assert again["previous_secret_expires_at"] is not None
    assert again["secret"] != first["secret"]
    (listed,) = (await http.get("/v1/webhook_endpoints")).json()["data"]
    assert (listed["id"], listed["url"]) == ("job_urls", None)
    problem(await http.post("/v1/webhook_endpoints/job_urls/test"), 422, "url_not_allowed")


@pytest.mark.parametrize("url", [*ODD, "http://hooks.example/", "https://localhost/"])
async def test_a_url_that_nothing_is_sent_to_is_refused(http: httpx2.AsyncClient, redis: Redis, url: str) -> None:
    for answer, pointer in (
        (await http.post("/v1/webhook_endpoints", json={"url": url}), "#/url"),
        (await http.post("/v1/jobs", json=WORK | {"webhook": {"url": url}}), "#/webhook/url"),
    ):
        body = problem(answer, 422)
        assert body["code"] in ("url_not_allowed", "invalid_request")
        assert pointers(body) == {pointer}
    assert not await redis.exists(keys.COUNTS)


async def test_every_address_inside_is_refused_by_name(http: httpx2.AsyncClient) -> None:
    for host in [*NUMBERS, *(f"[{one}]" if ":" in one else one for one in NOT_PUBLIC)]:
        answer = await http.post("/v1/jobs", json=WORK | {"webhook": {"url": f"https://{host}/"}})
        body = problem(answer, 422, "url_not_allowed")
        assert pointers(body) == {"#/webhook/url"}, host


@pytest.mark.parametrize(
    ("webhook", "pointer"),
    [
        ({}, "#/webhook"),
        ({"url": URL, "endpoint_id": "whe_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"}, "#/webhook"),
        ({"url": URL, "events": []}, "#/webhook/events"),
        ({"url": URL, "events": ["job.exploded"]}, "#/webhook/events/0"),
        ({"url": URL, "events": "job.failed"}, "#/webhook/events"),
        ({"url": URL, "secret": "whsec_x"}, "#/webhook/secret"),
        ({"url": 7}, "#/webhook/url"),
        ({"endpoint_id": "job_urls"}, "#/webhook/endpoint_id"),
        ({"endpoint_id": "whe_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"}, "#/webhook/endpoint_id"),
        ([], "#/webhook"),
        ("https://hooks.example", "#/webhook"),
    ],
)
async def test_a_webhook_that_cannot_be_meant_is_refused(http: httpx2.AsyncClient, webhook: Any, pointer: str) -> None:
    body = problem(await http.post("/v1/jobs", json=WORK | {"webhook": webhook}), 422, "invalid_request")
    assert pointers(body) == {pointer}


async def test_every_event_can_be_asked_for(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await told(http, worker, {"url": URL, "events": [str(one) for one in EventType]})
    found = await deliveries(http, job_id=job_id)
    assert sorted(one["type"] for one in found) == ["job.started", "job.succeeded"]


async def test_a_delivery_tells_what_came_of_each_attempt(
    http: httpx2.AsyncClient, worker: StandIn, outbox: Outbox
) -> None:
    endpoint = await made(http)
    job_id = await told(http, worker, {"endpoint_id": endpoint["id"]})
    (one,) = await deliveries(http, job_id=job_id)
    assert one == {
        "id": f"{ids.delivery_ids_of(job_id)}3",
        "object": "webhook_delivery",
        "type": "job.succeeded",
        "job_id": job_id,
        "endpoint_id": endpoint["id"],
        "url": None,
        "created_at": one["created_at"],
        "status": "pending",
        "reason": None,
        "next_attempt_at": one["created_at"],
        "attempts": [],
    }
    (parcel,) = (await outbox.claim(Room(9, 9, 9, 9))).parcels
    failed = Settlement(DeliveryState.FAILED, FailedBecause.GONE, endpoint="disabled")
    await outbox.settle(parcel.delivery, failed, Try(1, 410, 23, None, "bye"))

    one = (await http.get(f"/v1/webhook_deliveries/{one['id']}")).json()
    assert (one["status"], one["reason"], one["next_attempt_at"]) == ("failed", "gone", None)
    assert one["attempts"] == [
        {"at": "1970-01-01T00:00:00.001Z", "status": 410, "error": None, "latency_ms": 23, "answer": "bye"}
    ]
    endpoint = (await http.get(f"/v1/webhook_endpoints/{endpoint['id']}")).json()
    assert (endpoint["status"], endpoint["disabled_reason"]) == ("disabled", "gone")
    assert endpoint["disabled_at"] is not None

    replayed = await http.post(f"/v1/webhook_deliveries/{one['id']}/replay")
    assert replayed.status_code == 202
    assert (replayed.json()["status"], replayed.json()["reason"]) == ("pending", None)


async def test_a_test_is_a_delivery_without_a_job(http: httpx2.AsyncClient) -> None:
    endpoint = await made(http)
    answer = await http.post(f"/v1/webhook_endpoints/{endpoint['id']}/test")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["type"], body["job_id"], body["endpoint_id"]) == ("webhook.test", None, endpoint["id"])
    assert (await http.get(f"/v1/webhook_deliveries/{body['id']}")).json() == body


async def test_deliveries_are_read_page_by_page(http: httpx2.AsyncClient, worker: StandIn) -> None:
    jobs = [await told(http, worker, {"url": URL}) for _ in range(5)]
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await http.get("/v1/webhook_deliveries", params={"limit": 2} | after)).json()
        seen += [one["job_id"] for one in page["data"]]
        assert page["last_id"] == page["data"][-1]["id"]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert seen == jobs[::-1]
    problem(await http.get("/v1/webhook_deliveries", params={"after": "job_1"}), 400, "bad_cursor")


async def test_tenants_see_nothing_of_each_other(http: httpx2.AsyncClient, worker: StandIn) -> None:
    endpoint = await made(http)
    job_id = await told(http, worker, {"endpoint_id": endpoint["id"]})
    (one,) = await deliveries(http, job_id=job_id)
    where, what = f"/v1/webhook_endpoints/{endpoint['id']}", f"/v1/webhook_deliveries/{one['id']}"

    for method, path in (
        ("GET", where),
        ("DELETE", where),
        ("POST", f"{where}/rotate"),
        ("POST", f"{where}/test"),
        ("GET", what),
        ("POST", f"{what}/replay"),
    ):
        problem(await http.request(method, path, headers=GLOBEX), 404, "not_found")
    for path in ("/v1/webhook_endpoints", "/v1/webhook_deliveries", f"/v1/webhook_deliveries?job_id={job_id}"):
        assert (await http.get(path, headers=GLOBEX)).json()["data"] == []
    theirs = WORK | {"webhook": {"endpoint_id": endpoint["id"]}}
    body = problem(await http.post("/v1/jobs", json=theirs, headers=GLOBEX), 422, "invalid_request")
    assert pointers(body) == {"#/webhook/endpoint_id"}
    assert (await http.get(where)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/webhook_endpoints", "/v1/webhook_deliveries"])
async def test_without_a_key_there_is_nothing(http: httpx2.AsyncClient, path: str) -> None:
    problem(await http.get(path, headers={"Authorization": "Bearer nobody"}), 401, "unauthorized")


async def test_strange_ids_are_not_found(http: httpx2.AsyncClient) -> None:
    for strange in ("x", "whe_%2e%2e", "acme:whe_1", "%00", "*", "a" * 300):
        problem(await http.get(f"/v1/webhook_endpoints/{strange}"), 404)
        problem(await http.post(f"/v1/webhook_deliveries/{strange}/replay"), 404)


async def test_a_tenant_has_so_many_endpoints_and_no_more(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/webhook_endpoints/job_urls/rotate")
    for _ in range(MOST_ENDPOINTS):
        await made(http)
    assert len((await http.get("/v1/webhook_endpoints")).json()["data"]) == MOST_ENDPOINTS + 1
    problem(await http.post("/v1/webhook_endpoints", json={"url": URL}), 422, "too_many_endpoints")


async def test_a_replayed_submit_makes_no_second_webhook(http: httpx2.AsyncClient, worker: StandIn) -> None:
    body, key = WORK | {"webhook": {"url": URL}}, {"Idempotency-Key": "once"}
    first, again = [job_of(await http.post("/v1/jobs", json=body, headers=key), 202) for _ in range(2)]
    assert first["id"] == again["id"]
    await worker.run()
    assert len(await deliveries(http)) == 1
