"""The limits, over HTTP, with buckets so slow that a test never sees them refill."""

import asyncio

import anthropic
import pytest

from local.provider_process import ProviderProcess

QUICK = ("--latency", "0", "--tokens-per-second", "100000")


@pytest.fixture(scope="module")
def tight():
    """A burst of 20 requests, 1000 input tokens, 200 output tokens; a request comes back in 30 s."""
    with ProviderProcess(
        *QUICK, "--requests-per-minute", "2", "--burst", "10",
        "--input-tokens-per-minute", "100", "--output-tokens-per-minute", "20",
    ) as provider:  # fmt: skip
        yield provider


@pytest.fixture
async def client(tight, client_for):
    tight.reset()
    async with client_for(tight) as client:
        yield client


async def attempt(client, request):
    try:
        return await client.messages.create(**request)
    except anthropic.RateLimitError as error:
        return error


async def test_requests(client, ask, tight):
    answers = await asyncio.gather(*(attempt(client, ask("Hi", output_tokens=1)) for _ in range(25)))
    refused = [answer for answer in answers if isinstance(answer, anthropic.RateLimitError)]
    assert len(refused) == 5
    assert "2 requests per minute" in refused[0].api_message
    assert 1 <= int(refused[0].response.headers["retry-after"]) <= 30
    assert refused[0].response.headers["anthropic-ratelimit-requests-remaining"] == "0"
    stats = tight.stats()
    assert (stats["admitted"], stats["refused"]["requests"], stats["calls"]) == (20, 5, 25)


async def test_input_tokens(client, ask, tight):
    request = ask("x" * 360, output_tokens=1)
    answers = [await attempt(client, request) for _ in range(12)]
    refused = [answer for answer in answers if isinstance(answer, anthropic.RateLimitError)]
    assert len(refused) == 2
    assert "100 input tokens per minute" in refused[0].api_message
    assert tight.stats()["refused"]["input_tokens"] == 2


async def test_output_tokens_go_into_debt(client, ask, tight):
    await client.messages.create(**ask(output_tokens=500))
    refused = await attempt(client, ask("Hello"))
    assert isinstance(refused, anthropic.RateLimitError)
    assert "20 output tokens per minute" in refused.api_message
    assert 890 <= int(refused.response.headers["retry-after"]) <= 900
    assert refused.response.headers["anthropic-ratelimit-output-tokens-remaining"] == "0"


async def test_each_model_has_its_own_buckets(client, ask, tight):
    await client.messages.create(**ask(output_tokens=500))
    assert isinstance(await attempt(client, ask("Hello")), anthropic.RateLimitError)
    await client.messages.create(**ask("Hello") | {"model": "claude-haiku-4-5"})


async def test_small_limits_are_not_rounded(client, ask):
    raw = await client.messages.with_raw_response.create(**ask("x" * 332, output_tokens=1))
    assert int(raw.headers["anthropic-ratelimit-input-tokens-remaining"]) == pytest.approx(1_000 - 90, abs=10)


async def test_cache_reads_do_not_count(client, ask, tight):
    system = [{"type": "text", "text": "x" * 320, "cache_control": {"type": "ephemeral"}}]
    request = ask("Hi", output_tokens=1) | {"system": system}
    answers = [await attempt(client, request) for _ in range(15)]
    assert [answer.usage.cache_read_input_tokens for answer in answers[1:]] == [80] * 14


async def test_connections(client_for, ask, eventually):
    with ProviderProcess(*QUICK, "--max-connections", "2") as provider:
        async with client_for(provider) as client:
            held = [asyncio.create_task(client.messages.create(**ask(latency=30))) for _ in range(2)]
            await eventually(lambda: provider.stats()["admitted"] == 2)
            with pytest.raises(anthropic.RateLimitError) as caught:
                await client.messages.create(**ask("Hello"))
            assert "concurrent connections" in caught.value.api_message
            for call in held:
                call.cancel()
            await eventually(lambda: provider.stats()["in_flight"] == 0)
            await client.messages.create(**ask("Hello"))
            assert provider.stats()["peak_in_flight"] == 3
