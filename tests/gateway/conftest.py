"""One gateway for all its tests, in front of the simulated provider, and one api with two workers behind it."""

import json
from collections.abc import Iterator

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from tests.gateway.proxy import PROGRAM, LiteLLMProxy
from tests.stack import Stack, stack


@pytest.fixture(scope="session")
def proxy(provider_server: ProviderProcess) -> Iterator[LiteLLMProxy]:
    assert PROGRAM.exists(), "the proxy is not installed; `make test-gateway` does that and runs these tests"
    with LiteLLMProxy(provider_server.url) as started:
        yield started


@pytest.fixture(scope="session")
def behind(proxy: LiteLLMProxy) -> Iterator[Stack]:
    """Workers for which the gateway is the provider, with limits that they must unlearn."""
    with RedisServer() as redis, stack(redis.url, proxy.url, workers=2, **settings(proxy)) as running:
        yield running


def settings(proxy: LiteLLMProxy) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": proxy.key,
        "SLUICE_WORKER__AGENTS": json.dumps(["examples.invoices"]),
        "SLUICE_TARGETS__DEFAULT__REQUESTS_PER_MINUTE": "1000",
    }
