"""Fixtures for all: a real Valkey of its own on a socket, emptied before and searched for leaks after each test."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import settings

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis, connect
from tests.key_leaks import leaked_keys
from tests.shared.gating import Gates, forget_scripts, with_test_clock

# A busy machine is no bug: how long an example takes never decides.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_FIRST = ("faults", "properties", "e2e", "local")
"""Folders of files that take long, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: with `--dist loadfile` one that comes last is waited for by a process that has nothing left."""
    place = {f"tests/{folder}": number for number, folder in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get("/".join(item.nodeid.split("/")[:2]), len(_FIRST)))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A client of an empty store. After the test every key left must be one that may stay."""
    client = connect(redis_server.url)
    await client.flushall()
    yield client
    leaks = await leaked_keys(client)
    await client.aclose(close_connection_pool=True)
    assert not leaks, f"keys without a lifetime: {leaks}"


@pytest.fixture(scope="session")
def provider_server() -> Iterator[ProviderProcess]:
    with ProviderProcess("--latency", "0.02", "--tokens-per-second", "2000") as provider:
        yield provider


@pytest.fixture
def provider(provider_server: ProviderProcess) -> Iterator[ProviderProcess]:
    """The simulated provider, forgetful: quick, generous, without faults."""
    provider_server.reset()
    yield provider_server
    provider_server.reset()


@pytest.fixture
async def gates(redis: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gates]:
    """The gate in a time that the test makes pass."""
    with_test_clock(monkeypatch)
    made = Gates(redis)
    await made.set_clock(made.now)
    yield made
    await made.close()
    monkeypatch.undo()  # or what a gate still tells after the test would make the scripts of that time anew
    forget_scripts()
