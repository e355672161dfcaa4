"""An api as the tests of the contract want it: small limits, and a tenant for each."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from api.examples import EXAMPLES
from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.checkpoints import Checkpoints
from shared.redis_client import Redis
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.api.talk import (
    WORK,
    StandIn,
    announce,
    client,
    digest,
    job_of,
    problem,
    tracebacks,
)
from tests.api.tenancy import api_of, bearer

DEPTH = 5
URL = "https://hooks.example/in"
SETTINGS = f"""
[queue]
max_depth = {DEPTH}
max_wait_seconds = 3600
[tenants.acme]
key_digests = ["{digest("acme")}"]
[tenants.acme.keys.dashboard]
digest = "{digest("acme-reads")}"
scopes = ["read"]
[tenants.globex]
key_digests = ["{digest("globex")}"]
[tenants.picky]
key_digests = ["{digest("picky")}"]
agents = ["frugal"]
[tenants.small]
key_digests = ["{digest("small")}"]
max_waiting = 1
[tenants.hasty]
key_digests = ["{digest("hasty")}"]
submits_per_minute = 1
[tenants.frugal]
key_digests = ["{digest("frugal")}"]
daily_cost_usd = "0.50"
"""


@pytest.fixture(scope="module")
def api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("contract"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    """Speaks for acme unless told otherwise."""
    await announce(redis)
    async with client(api.url, headers=bearer("acme")) as talking:
        yield talking


@pytest.fixture
async def unkeyed(api: ServiceProcess, http: httpx2.AsyncClient) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(api.url) as talking:
        yield talking


async def submitted(http: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    return job_of(await http.post("/v1/jobs", json=WORK | fields), 202)


async def ended(http: httpx2.AsyncClient, worker: StandIn, **fields: Any) -> dict[str, Any]:
    job = await submitted(http, **fields)
    await worker.run()
    return job_of(await http.get(job["links"]["self"]))


async def spend(redis: Redis, worker: StandIn, cost_nano: int) -> None:
    """The job next in turn makes a turn that costs so much."""
    (job,) = await worker.take()
    usage = Usage(turns=1, cost_nano=cost_nano)
    turn = ModelRecord(1, [], "end_turn", usage, "default", "m", None, 1)
    await Checkpoints(redis).append("stand-in", job.id, 0, turn)


SAID_IN_MANY_WAYS = {"bad_json", "bad_cursor", "unauthorized"}
_OF_THE_CASE = re.compile(r"job_[0-9a-f-]+|'[^']*'|[0-9][0-9.:TZ-]*|(\b(assistant|researcher|frugal)\b(, )?)+")


def refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, which says what `/docs` shows of it, but for ids, numbers and names."""
    body = problem(answer, status, code)
    shown = EXAMPLES[code]["detail"]
    if code not in SAID_IN_MANY_WAYS:
        assert _OF_THE_CASE.sub("…", body["detail"]) == _OF_THE_CASE.sub("…", shown)
    return body
