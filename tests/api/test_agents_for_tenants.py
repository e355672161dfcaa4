"""Agents that are for some tenants alone: the others may neither ask for them nor see them."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.api.talk import WORK, announce, client, digest, job_of, pointers, problem, tracebacks, waiting
from tests.api.tenancy import api_of, bearer

SETTINGS = f"""
[tenants.some]
key_digests = ["{digest("some-key")}"]
agents = ["frugal", "of-tomorrow"]
[tenants.none]
key_digests = ["{digest("none-key")}"]
agents = []
[tenants.all]
key_digests = ["{digest("all-key")}"]
[tenants.operators.keys.monitor]
digest = "{digest("admin-key")}"
scopes = ["admin"]
"""


@pytest.fixture(scope="module")
def api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("agents"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(api.url) as talking:
        yield talking


async def submit(http: httpx2.AsyncClient, who: str, agent: str) -> httpx2.Response:
    return await http.post("/v1/jobs", json=WORK | {"agent": agent}, headers=bearer(who))


async def test_a_tenant_may_ask_for_its_agents_and_for_no_other(http: httpx2.AsyncClient, redis: Redis) -> None:
    job_of(await submit(http, "some-key", "frugal"), 202)
    job_of(await submit(http, "all-key", "assistant"), 202)
    for who, agent in (("some-key", "assistant"), ("none-key", "frugal"), ("none-key", "assistant")):
        body = problem(await submit(http, who, agent), 403, "agent_not_allowed")
        assert repr(agent) in body["detail"]
        assert pointers(body) == {"#/agent"}
    assert await waiting(redis) == 2


async def test_whether_there_is_an_agent_that_is_not_for_you_is_not_told(http: httpx2.AsyncClient) -> None:
    there = problem(await submit(http, "some-key", "assistant"), 403)
    not_there = problem(await submit(http, "some-key", "nowhere"), 403)
    assert there["detail"].replace("assistant", "nowhere") == not_there["detail"]
    not_yet = problem(await submit(http, "some-key", "of-tomorrow"), 422, "unknown_agent")
    assert "assistant" not in not_yet["detail"]
    assert "there is frugal" in not_yet["detail"]


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("some-key", ["frugal"]),
        ("none-key", []),
        ("all-key", ["assistant", "frugal"]),
        ("admin-key", ["assistant", "frugal"]),
    ],
)
async def test_a_tenant_sees_the_agents_it_may_ask_for(http: httpx2.AsyncClient, who: str, seen: list[str]) -> None:
    answer = await http.get("/v1/agents", headers=bearer(who))
    assert [agent["name"] for agent in answer.json()["data"]] == seen


async def test_a_job_of_a_batch_is_refused_by_itself(http: httpx2.AsyncClient, redis: Redis) -> None:
    jobs = [WORK | {"agent": "frugal"}, WORK]
    answer = await http.post("/v1/jobs:batch", json={"jobs": jobs}, headers=bearer("some-key"))
    assert [one["status"] for one in answer.json()["data"]] == [202, 403]
    together = {"jobs": jobs, "all_or_nothing": True}
    body = problem(
        await http.post("/v1/jobs:batch", json=together, headers=bearer("some-key")), 403, "agent_not_allowed"
    )
    assert pointers(body) == {"#/jobs/1/agent"}
    assert await waiting(redis) == 1
