"""One real api process for most tests; agents are announced as a worker would, and a stand-in does the work."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.api.talk import StandIn, announce, client, tracebacks
from tests.forked import ForkedService


@pytest.fixture(scope="session")
def api(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    with ForkedService("api", {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0"}) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the api over an empty store with two agents. Whatever it sends, the api logs no error."""
    await announce(redis)
    logged = len(api.log)
    async with client(api.url) as talking:
        yield talking
    assert not tracebacks(api.log[logged:])


@pytest.fixture
def worker(redis: Redis) -> StandIn:
    return StandIn(redis)
