"""Two tenants and each other's ids, on every endpoint of the OpenAPI document, those of tomorrow included.

What belongs to another tenant is answered as what there is not: the same status, the same body, and the same commands
in Redis, so that not even the time it takes tells.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import ids
from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, announce, client, job_of, tracebacks
from tests.api.tenancy import ACME, GLOBEX, SETTINGS, api_of, bearer
from tests.shared.queueing import asked

METHODS = {"get", "post", "put", "patch", "delete"}
SECRET = "what acme keeps to itself"


Named = dict[str, str]
"""Ids by the names of the parameters that they are given as."""


async def a_job(http: httpx2.AsyncClient, redis: Redis, named: Named, **fields: str) -> str:
    body = WORK | {"input": SECRET * 1000, "metadata": {"of": SECRET}, **fields}
    return str(job_of(await http.post("/v1/jobs", json=body, headers=bearer(ACME)), 202)["id"])


async def a_session(http: httpx2.AsyncClient, redis: Redis, named: Named) -> str:
    await a_job(http, redis, named, session_id="acme-session")
    return "acme-session"


async def an_action(http: httpx2.AsyncClient, redis: Redis, named: Named) -> str:
    """One of the job that is named with it."""
    worker = StandIn(redis)
    job = next(job for job in await worker.take(100) if job.id == named["job_id"])
    question = asked(job.id, input={"of": SECRET})
    await worker.ask(job, question)
    return question.id


async def an_endpoint(http: httpx2.AsyncClient, redis: Redis, named: Named) -> str:
    body = {"url": "https://hooks.acme.example/", "description": SECRET}
    answer = await http.post("/v1/webhook_endpoints", json=body, headers=bearer(ACME))
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def a_delivery(http: httpx2.AsyncClient, redis: Redis, named: Named) -> str:
    endpoint_id = await an_endpoint(http, redis, named)
    answer = await http.post(f"/v1/webhook_endpoints/{endpoint_id}/test", headers=bearer(ACME))
    assert answer.status_code == 202
    return str(answer.json()["id"])


MADE: dict[str, Callable[[httpx2.AsyncClient, Redis, Named], Awaitable[str]]] = {
    "job_id": a_job,
    "session_id": a_session,
    "action_id": an_action,
    "endpoint_id": an_endpoint,
    "delivery_id": a_delivery,
}
"""How acme gets a thing whose id is a parameter of that name; a new kind of thing needs its line here."""
NEVER_MADE = {
    "job_id": ids.new_job_id(),
    "session_id": "nobodys-session",
    "action_id": ids.new_action_id(),
    "endpoint_id": ids.new_endpoint_id(),
    "delivery_id": ids.new_test_delivery_id(),
}


@pytest.fixture(scope="module")
def guarded_api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("isolation"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def http(guarded_api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(guarded_api.url) as talking:
        yield talking


class Endpoint:
    """A method and path of the document, with the ids it takes in its path and in its query."""

    def __init__(self, method: str, path: str, told: dict[str, Any]) -> None:
        self.method, self.path = method.upper(), path
        self.in_path = re.findall(r"{(\w+)}", path)
        query = {one["name"] for one in told.get("parameters", []) if one["in"] == "query"}
        self.in_query = sorted(name for name in query if name.endswith("_id") and name != "session_id")
        self.has_body = "requestBody" in told

    @property
    def ids(self) -> list[str]:
        return [*self.in_path, *self.in_query]

    async def call(self, http: httpx2.AsyncClient, key: str, named: dict[str, str]) -> httpx2.Response:
        path = self.path.format_map({name: named[name] for name in self.in_path})
        return await http.request(
            self.method,
            path,
            params={name: named[name] for name in self.in_query},
            json={} if self.has_body else None,
            headers=bearer(key),
        )


async def endpoints(http: httpx2.AsyncClient) -> list[Endpoint]:
    document = (await http.get("/openapi.json")).json()
    return [
        Endpoint(method, path, told)
        for path, item in document["paths"].items()
        for method, told in item.items()
        if method in METHODS and path.startswith("/v1/")
    ]


async def made_for(endpoint: Endpoint, http: httpx2.AsyncClient, redis: Redis) -> Named:
    """Acme's things, one for each id that the endpoint takes."""
    named: Named = {}
    for name in endpoint.ids:
        named[name] = await MADE[name](http, redis, named)
    return named


def bare(answer: httpx2.Response, named: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """An answer without what differs from request to request."""
    text = answer.text.replace(answer.headers["x-request-id"], "REQUEST")
    for name, value in named.items():
        text = text.replace(value, name)
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    headers.pop("content-length", None)
    return answer.status_code, text, headers


async def commands(redis: Redis, call: Awaitable[httpx2.Response]) -> tuple[httpx2.Response, dict[str, int]]:
    """An answer, and which commands Redis ran for it, how often, those inside of scripts included."""
    await redis.config_resetstat()
    answer = await call
    stats = await redis.info("commandstats")
    mine = {"cmdstat_config|resetstat", "cmdstat_info", "cmdstat_ping"}
    return answer, {name: seen["calls"] for name, seen in stats.items() if name not in mine}


async def test_an_id_of_another_tenant_is_as_one_that_there_is_not(http: httpx2.AsyncClient, redis: Redis) -> None:
    found = [endpoint for endpoint in await endpoints(http) if endpoint.ids]
    assert {("GET", "/v1/jobs/{job_id}"), ("POST", "/v1/jobs/{job_id}/cancel")} <= {(e.method, e.path) for e in found}
    unknown = {name for endpoint in found for name in endpoint.ids} - MADE.keys()
    assert not unknown, "say in MADE and NEVER_MADE how to get one"

    for endpoint in found:
        theirs = await made_for(endpoint, http, redis)
        missing = {name: NEVER_MADE[name] for name in endpoint.ids}
        await endpoint.call(http, GLOBEX, missing)  # whatever the first of its kind has to load
        absent, needed = await commands(redis, endpoint.call(http, GLOBEX, missing))
        answer, used = await commands(redis, endpoint.call(http, GLOBEX, theirs))
        where = f"{endpoint.method} {endpoint.path}"
        assert bare(answer, theirs) == bare(absent, missing), where
        assert used == needed, where
        assert not endpoint.in_path or 400 <= answer.status_code < 500, where
        assert SECRET not in answer.text


async def test_nothing_of_another_tenant_is_in_any_list(http: httpx2.AsyncClient, redis: Redis) -> None:
    job_id = await a_job(http, redis, {})
    await an_action(http, redis, {"job_id": job_id})
    looked_at = [endpoint for endpoint in await endpoints(http) if endpoint.method == "GET" and not endpoint.ids]
    assert len(looked_at) >= 5
    for endpoint in looked_at:
        answer = await endpoint.call(http, GLOBEX, {})
        assert answer.status_code < 500
        for private in (job_id, SECRET, "acme"):
            assert private not in answer.text, endpoint.path


async def test_acmes_things_are_as_they_were(http: httpx2.AsyncClient, redis: Redis) -> None:
    for endpoint in await endpoints(http):
        theirs = await made_for(endpoint, http, redis)
        before = {name: await redis.hgetall(f"sluice:job:{job_id}") for name, job_id in theirs.items()}
        await endpoint.call(http, GLOBEX, theirs)
        assert {name: await redis.hgetall(f"sluice:job:{job_id}") for name, job_id in theirs.items()} == before
