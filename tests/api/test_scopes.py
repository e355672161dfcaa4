"""Scopes: each route names what it asks of a key, and a key is good for what it was given and nothing else."""

import hmac
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.access import Needs
from api.app import ROUTERS
from api.auth import Authenticator
from api.problems import Problem
from api.routes import docs
from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from shared.sections import Key, Scope, Tenant
from tests.api.talk import WORK, announce, client, digest, job_of, problem, tracebacks, waiting
from tests.api.tenancy import (
    ACME,
    ACME_READS,
    ACME_SUBMITS,
    ADMIN,
    EXPIRED,
    GLOBEX,
    NOT_YET,
    SETTINGS,
    api_of,
    bearer,
)

OPEN = {"/healthz", "/readyz", "/metrics"} | {route.path for route in docs.router.routes if isinstance(route, APIRoute)}


@pytest.fixture(scope="module")
def guarded_api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("scopes"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)
    log = process.log_text()
    assert not any(key in log for key in (ACME, ACME_READS, ACME_SUBMITS, ADMIN, EXPIRED, NOT_YET, GLOBEX))
    assert "tenants.operators.keys.old (it has expired)" in log
    assert "operators.keys.new" not in log


@pytest.fixture
async def http(guarded_api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(guarded_api.url) as talking:
        yield talking


def needs_of(dependant: Dependant) -> list[Needs]:
    own = [dependant.call] if isinstance(dependant.call, Needs) else []
    return own + [found for inner in dependant.dependencies for found in needs_of(inner)]


def api_routes(routers: Sequence[APIRouter]) -> list[APIRoute]:
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def undeclared(routes: list[APIRoute]) -> list[str]:
    return [route.path for route in routes if route.path not in OPEN and len(needs_of(route.dependant)) != 1]


def test_every_route_says_what_it_asks_of_a_key() -> None:
    routes = api_routes(ROUTERS)
    assert {"/v1/jobs", "/v1/queue", "/v1/workers", "/healthz"} <= {route.path for route in routes}
    assert not undeclared(routes), "name SubmitterOf, ReaderOf or ObserverOf (api/access.py)"


def test_a_route_that_says_nothing_is_found() -> None:
    careless = APIRouter()

    @careless.get("/v1/secrets")
    async def forgotten() -> None: ...

    assert undeclared(api_routes([careless])) == ["/v1/secrets"]


def test_what_changes_something_asks_for_submit_and_what_reads_for_read() -> None:
    for route in api_routes(ROUTERS):
        if route.path not in OPEN:
            (needs,) = needs_of(route.dependant)
            wanted = Scope.READ if route.methods == {"GET"} else Scope.SUBMIT
            assert set(needs.scopes) - {Scope.ADMIN} == {wanted}, route.path


@pytest.mark.parametrize("key", ["key-0", "key-4", "key-9", "nobody's", ""])
def test_every_key_is_compared_with_all_there_are(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    listed = [digest(f"key-{n}") for n in range(5)]
    named = {f"k{n}": Key(digest=digest(f"key-{n}")) for n in range(5, 10)}
    known = Authenticator({"acme": Tenant(key_digests=listed), "globex": Tenant(keys=named)})
    with suppress(Problem):
        known.caller(f"Bearer {key}", "")
    assert len(compared) == (10 if key else 0)


async def test_a_key_that_may_only_read_submits_and_cancels_nothing(http: httpx2.AsyncClient, redis: Redis) -> None:
    job_id = job_of(await http.post("/v1/jobs", json=WORK, headers=bearer(ACME)), 202)["id"]

    for path in ("/v1/jobs", f"/v1/jobs/{job_id}/cancel"):
        answer = await http.post(path, content=b"no JSON", headers=bearer(ACME_READS))
        body = problem(answer, 403, "insufficient_scope")
        assert "good for read" in body["detail"]
        assert "good for submit" in body["detail"]
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="submit"'

    assert await waiting(redis) == 1
    assert job_of(await http.get(f"/v1/jobs/{job_id}", headers=bearer(ACME_READS)))["status"] == "queued"
    assert (await http.get("/v1/agents", headers=bearer(ACME_READS))).status_code == 200


async def test_a_key_that_may_only_submit_reads_nothing(http: httpx2.AsyncClient) -> None:
    job_id = job_of(await http.post("/v1/jobs", json=WORK, headers=bearer(ACME_SUBMITS)), 202)["id"]
    for path in (f"/v1/jobs/{job_id}", "/v1/jobs", "/v1/agents", "/v1/queue", "/v1/workers", "/v1/limits"):
        problem(await http.get(path, headers=bearer(ACME_SUBMITS)), 403, "insufficient_scope")
    job_of(await http.post(f"/v1/jobs/{job_id}/cancel", headers=bearer(ACME_SUBMITS)))


async def test_a_key_that_may_only_administer_sees_numbers_and_no_jobs(http: httpx2.AsyncClient) -> None:
    job_id = job_of(await http.post("/v1/jobs", json=WORK, headers=bearer(ACME)), 202)["id"]
    for path in ("/v1/agents", "/v1/queue", "/v1/workers", "/v1/limits"):
        assert (await http.get(path, headers=bearer(ADMIN))).status_code == 200
    for path in ("/v1/jobs", f"/v1/jobs/{job_id}"):
        problem(await http.get(path, headers=bearer(ADMIN)), 403, "insufficient_scope")
    problem(await http.post("/v1/jobs", json=WORK, headers=bearer(ADMIN)), 403, "insufficient_scope")


async def test_a_key_is_good_until_it_expires(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/v1/jobs", headers=bearer(EXPIRED))
    assert problem(answer, 401, "unauthorized")["detail"] == "This key has expired; ask for a new one."
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await http.get("/v1/jobs", headers=bearer(NOT_YET))).status_code == 200


@pytest.mark.parametrize("query", [f"access_token={ACME}", "API_KEY=x", "token", "limit=5&agent=slc_abc"])
@pytest.mark.parametrize("headers", [{}, bearer(ACME)])
async def test_a_key_in_an_address_is_refused(http: httpx2.AsyncClient, query: str, headers: dict[str, str]) -> None:
    answer = await http.get(f"/v1/jobs?{query}", headers=headers)
    assert "replace this key" in problem(answer, 401, "unauthorized")["detail"]
    assert ACME not in answer.text
