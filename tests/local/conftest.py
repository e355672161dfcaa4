"""One simulated provider for the whole run, reset for each test; the real SDK and bare HTTP in front of it."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic

from local.provider_process import ProviderProcess

MODEL = "claude-sonnet-4-6"

# No proxies, and a TLS context without the certificates that nothing here needs: loading them takes 50 ms.
QUICK_CLIENT: dict[str, Any] = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[ProviderProcess]:
    with ProviderProcess("--latency", "0", "--tokens-per-second", "20000") as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: ProviderProcess) -> ProviderProcess:
    shared_provider.reset()
    return shared_provider


@pytest.fixture
async def sdk(provider: ProviderProcess) -> AsyncIterator[AsyncAnthropic]:
    async with client_of(provider) as client:
        yield client


@pytest.fixture
async def http(provider: ProviderProcess) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"x-api-key": "any", "anthropic-version": "2026-10-21"}
    async with httpx2.AsyncClient(base_url=provider.url, headers=headers, **QUICK_CLIENT) as client:
        yield client


def client_of(provider: ProviderProcess) -> AsyncAnthropic:
    return AsyncAnthropic(
        api_key="any",
        base_url=provider.url,
        max_retries=0,
        http_client=httpx2.AsyncClient(**QUICK_CLIENT, timeout=20),
    )


@pytest.fixture
def client_for() -> Callable[[ProviderProcess], AsyncAnthropic]:
    return client_of


@pytest.fixture
def ask() -> Callable[..., dict[str, Any]]:
    """Keyword arguments of `messages.create`: a text, with a directive when fields of one are given."""

    def build(text: str = "", tools: Any = None, max_tokens: int = 1000, **directive: Any) -> dict[str, Any]:
        content = f"{text} <sim>{json.dumps(directive)}</sim>" if directive else text
        request = {
            "model": MODEL,
            "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": content}],
        }
        return {**request, "tools": tools} if tools else request

    return build


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    """Wait until a condition holds; its value. Fails after ten seconds."""

    async def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 10
        while not (value := await asyncio.to_thread(condition)):
            assert time.monotonic() < deadline, "the condition never came true"
            await asyncio.sleep(0.01)
        return value

    return wait


@pytest.fixture
def calculator() -> dict[str, Any]:
    return {
        "name": "calculator",
        "description": "Work out a sum.",
        "input_schema": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
    }


@pytest.fixture
def clock() -> dict[str, Any]:
    return {
        "name": "clock",
        "description": "The time now.",
        "input_schema": {"type": "object", "properties": {"zone": {"type": "string", "default": "UTC"}}},
    }
