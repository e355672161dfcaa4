"""A worker is ready when Redis and every target's provider answer; one look is enough for all workers, for a while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from local.link import Link
from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import keys
from shared.pool import Limits, Pool
from shared.redis_client import Redis, connect
from tests.api.talk import QUICK_CLIENT
from tests.stack import Stack
from worker import operations
from worker.model_call import TargetClient
from worker.provider import ProviderBusy, ProviderDown, ProviderError, ProviderRefused
from worker.readiness import ReadinessProbe

DOWN = ProviderDown("Connection error.", type="connection_error")
REFUSED = ProviderRefused("invalid x-api-key", type="authentication_error")
BUSY = ProviderBusy("Overloaded.", type="overloaded_error")
READY = {"redis": "ok", "target:default": "ok"}
POOL = Pool("pool", Limits(requests=60, input=1000, output=1000, in_flight=4))


class Answers:
    """A provider that answers a probe with this error, or well."""

    def __init__(self, error: ProviderError | None = None) -> None:
        self.error = error
        self.probes = 0

    async def probe(self) -> None:
        self.probes += 1
        if self.error is not None:
            raise self.error


def a_worker(redis: Redis, **targets: Answers) -> ReadinessProbe:
    """That of a worker with these targets."""
    clients: list[Any] = [TargetClient(name, "anthropic", "m", POOL, one) for name, one in targets.items()]  # type: ignore[arg-type]
    return ReadinessProbe(redis, clients)


@asynccontextmanager
async def port_of(probe: ReadinessProbe) -> AsyncIterator[httpx2.AsyncClient]:
    """Its operations port, without the process."""
    transport = httpx2.ASGITransport(operations.app(probe))
    async with httpx2.AsyncClient(transport=transport, base_url="http://worker") as http:
        yield http


async def test_a_provider_that_answers_is_200(redis: Redis) -> None:
    async with port_of(a_worker(redis, default=Answers())) as http:
        answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": READY})


@pytest.mark.parametrize("error", [DOWN, REFUSED])
async def test_a_provider_that_is_down_or_refuses_the_key_is_503_and_says_why(
    redis: Redis, error: ProviderError
) -> None:
    async with port_of(a_worker(redis, default=Answers(), second=Answers(error))) as http:
        answer = await http.get("/readyz")
        alive = await http.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert answer.json()["checks"] == READY | {"target:second": f"{error.type}: {error}"}
    assert alive.status_code == 200, "it lives: to start it anew would help nobody"


async def test_a_provider_that_is_busy_is_there(redis: Redis) -> None:
    assert (await a_worker(redis, default=Answers(BUSY)).look()).ready


async def test_one_look_is_enough_for_all_workers(redis: Redis) -> None:
    providers = [Answers() for _ in range(3)]
    workers = [a_worker(redis, default=one) for one in providers]

    for _ in range(5):
        for worker in workers:
            assert (await worker.look()).checks == READY

    assert [one.probes for one in providers] == [1, 0, 0]


async def test_what_one_worker_has_seen_fail_fails_for_the_others(redis: Redis) -> None:
    well = Answers()
    await a_worker(redis, default=Answers(DOWN)).look()

    assert not (await a_worker(redis, default=well).look()).ready
    assert well.probes == 0


async def test_targets_are_looked_at_each_by_itself(redis: Redis) -> None:
    first, second = Answers(), Answers(DOWN)
    await a_worker(redis, default=first).look()

    checks = (await a_worker(redis, default=first, second=second).look()).checks

    assert (checks["target:default"], checks["target:second"][:16]) == ("ok", "connection_error")
    assert (first.probes, second.probes) == (1, 1)


@pytest.mark.parametrize(("error", "seconds"), [(None, range(6, 31)), (DOWN, range(1, 6))])
async def test_a_look_is_good_for_a_while_a_bad_one_for_less(
    redis: Redis, error: ProviderError | None, seconds: range
) -> None:
    provider = Answers(error)
    worker = a_worker(redis, default=provider)
    await worker.look()
    assert await redis.ttl(keys.probe("default")) in seconds  # type: ignore[attr-defined]

    provider.error = None if error else DOWN
    assert (await worker.look()).ready is (error is None), "not asked again"
    await redis.delete(keys.probe("default"))  # type: ignore[attr-defined]

    assert (await worker.look()).ready is (error is not None)
    assert provider.probes == 2


async def test_without_redis_nobody_is_ready() -> None:
    with RedisServer() as own:
        redis = connect(own.url)
        async with port_of(a_worker(redis, default=Answers())) as http:
            own.kill()
            answer = await http.get("/readyz")
        await redis.aclose(close_connection_pool=True)
    assert answer.status_code == 503
    assert answer.json()["checks"]["redis"].startswith("Redis is not available")


async def test_of_real_workers_the_second_asks_nobody_and_both_come_back_with_the_provider(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    """What a worker has not asked itself it can only know from Redis: the second has a way to the provider of its own,
    which is never open."""
    port = urlsplit(provider.url).port or 0
    with (
        Link(port) as way,
        Link(port) as closed,
        Stack(redis_server.url, f"http://127.0.0.1:{way.port}") as stack,
    ):
        closed.refuse()
        first = stack.add_worker()
        second = stack.add_worker(ANTHROPIC_BASE_URL=f"http://127.0.0.1:{closed.port}")
        async with httpx2.AsyncClient(**QUICK_CLIENT) as http:

            async def ready(url: str) -> bool:
                answer = await http.get(f"{url}/readyz")
                assert answer.status_code in (200, 503)
                assert answer.json()["status"] == ("ready" if answer.status_code == 200 else "not_ready")
                return answer.status_code == 200

            assert await ready(first.url)
            assert await ready(second.url), "it has heard of it"

            way.refuse()
            await redis.delete(keys.probe("default"))  # type: ignore[attr-defined]
            assert not await ready(first.url)
            assert not await ready(second.url)
            assert (await http.get(f"{first.url}/healthz")).status_code == 200

            way.accept()
            await redis.delete(keys.probe("default"))  # type: ignore[attr-defined]
            assert await ready(first.url)
            assert await ready(second.url)
