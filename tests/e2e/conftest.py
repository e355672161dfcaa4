"""One stack for all end-to-end tests that need no process of their own: an api and two workers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from tests.stack import Stack, stack


@contextmanager
def whole_stack() -> Iterator[tuple[Stack, ProviderProcess, RedisServer]]:
    settings = {
        "SLUICE_WORKER__AGENTS": json.dumps(
            ["tests.agents.effects", "tests.agents.circles", "tests.agents.errands", "examples.invoices"]
        ),
        "SLUICE_QUEUE__LEASE_SECONDS": "2",
    }
    with (
        RedisServer() as redis,
        ProviderProcess("--latency", "0.02", "--tokens-per-second", "2000") as provider,
        stack(redis.url, provider.url, workers=2, **settings) as running,
    ):
        yield running, provider, redis


@pytest.fixture(scope="session")
def shared_stack() -> Iterator[tuple[Stack, ProviderProcess, RedisServer]]:
    with whole_stack() as made:
        yield made


@pytest.fixture
def running(shared_stack: tuple[Stack, ProviderProcess, RedisServer]) -> Stack:
    return shared_stack[0]


@pytest.fixture
def simulated(shared_stack: tuple[Stack, ProviderProcess, RedisServer]) -> Iterator[ProviderProcess]:
    """The provider of the shared stack, without the faults of an earlier test."""
    provider = shared_stack[1]
    provider.set_fault(None)
    yield provider
    provider.set_fault(None)
