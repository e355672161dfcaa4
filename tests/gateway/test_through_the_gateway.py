"""Jobs through a real LiteLLM proxy: what comes through, what it hides, its chain, and its death."""

from typing import Any

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.usage import NANO, USAGE_FIELDS, Usage
from tests.gateway.conftest import settings
from tests.gateway.proxy import LiteLLMProxy
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until
from worker.pricing import cost_nano

pytestmark = [pytest.mark.slow, pytest.mark.gateway]

SONNET, HAIKU = "claude-sonnet-4-6", "claude-haiku-4-5"


def repeated(running: Stack, error: str) -> int:
    """How often a worker said that it repeats a call after this error."""
    lines = [line for worker in running.workers for line in worker.log]
    return sum(line.get("event") == "model_call_repeated" and line.get("error") == error for line in lines)


def cost_usd(job: dict[str, Any], model: str) -> float:
    tokens = {name: job["usage"][name] for name in USAGE_FIELDS if name.endswith("_tokens")}
    return cost_nano("anthropic", model, Usage(**tokens)) / NANO


@pytest.mark.parametrize("agent", ["assistant", "researcher", "invoices"])
def test_every_shipped_agent_succeeds(behind: Stack, provider: ProviderProcess, agent: str) -> None:
    job = behind.finished(behind.submit(agent, f"For {agent}: what is 17 * 23?"))

    assert job["status"] == "succeeded", job
    assert job["output"]
    assert job["model"]["served"] == SONNET


def test_tools_usage_and_cost_are_as_without_it(behind: Stack, provider: ProviderProcess) -> None:
    prompt = scripted(turns=4, tool="calculator")

    job = behind.finished(behind.submit("researcher", prompt))

    calls = conversation(provider.calls(), prompt)
    assert job["usage"]["model_calls"] == len(calls) == 4
    assert job["usage"]["tool_calls"] == 3
    for name in ("input_tokens", "output_tokens"):
        assert job["usage"][name] == sum(call["usage"][name] for call in calls)
    assert float(job["usage"]["cost_usd"]) == pytest.approx(cost_usd(job, SONNET), abs=1e-6)


def test_the_gate_learns_the_providers_limits(behind: Stack, provider: ProviderProcess) -> None:
    behind.finished(behind.submit("assistant", scripted(output_tokens=20)))

    (limits,) = behind.http.get("/v1/limits").json()["data"]
    assert limits["requests"]["learned"]
    assert limits["requests"]["limit_per_minute"] == 4000


def test_a_stand_in_is_recorded_and_priced_as_what_it_is(behind: Stack, provider: ProviderProcess) -> None:
    """The gateway's own chain: it gives the answer of the second model the name of the first."""
    prompt = scripted(output_tokens=200)
    provider.set_fault("529", model=SONNET)

    job = behind.finished(behind.submit("assistant", prompt))

    assert job["status"] == "succeeded", job
    assert [(call["model"], call["status"]) for call in conversation(provider.calls(), prompt)] == [
        (SONNET, 529),
        (HAIKU, 200),
    ]
    assert job["model"]["served"] == HAIKU
    assert float(job["usage"]["cost_usd"]) == pytest.approx(cost_usd(job, HAIKU), abs=1e-6)
    assert cost_usd(job, HAIKU) < cost_usd(job, SONNET)


@pytest.mark.parametrize(
    ("fault", "calls", "error", "paid"),
    [
        ("429", [(SONNET, 429), (HAIKU, 429), (SONNET, 200)], "rate_limit_error", 1),
        ("529", [(SONNET, 529), (HAIKU, 529), (SONNET, 200)], "api_error", 1),
        ("overload_mid", [(SONNET, 200), (SONNET, 200)], "overloaded_error", 2),
    ],
)
def test_what_its_chain_cannot_mend_comes_through_and_the_job_succeeds(
    behind: Stack, provider: ProviderProcess, fault: str, calls: list[tuple[str, int]], error: str, paid: int
) -> None:
    """Nothing is tried twice on the way; the answer that has begun is not begun anew by another model, and is paid."""
    before = repeated(behind, error)
    prompt = scripted(fault=fault, times=len(calls) - 1, output_tokens=40)

    job = behind.finished(behind.submit("assistant", prompt))

    assert job["status"] == "succeeded", job
    assert (job["usage"]["model_calls"], job["attempt"]) == (paid, 1)
    assert [(call["model"], call["status"]) for call in conversation(provider.calls(), prompt)] == calls
    assert repeated(behind, error) == before + 1


def test_what_the_provider_refuses_fails_at_once_with_its_words(behind: Stack, provider: ProviderProcess) -> None:
    unpaired = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}]},
        {"role": "user", "content": "no result"},
    ]
    job = behind.finished(behind.submit("researcher", unpaired))

    assert job["status"] == "failed"
    assert job["error"]["code"] == "invalid_request_error"
    assert "tool_result" in job["error"]["message"]
    assert "req_" in job["error"]["message"], "the id that the provider's support asks for"


async def test_jobs_outlive_a_gateway_that_is_killed_in_mid_run(
    behind: Stack, proxy: LiteLLMProxy, provider: ProviderProcess
) -> None:
    before = repeated(behind, "connection_error")
    prompts = [scripted(turns=3, tool="clock", latency=0.5) for _ in range(10)]
    jobs = [behind.submit("researcher", prompt) for prompt in prompts]
    await until(lambda: provider.stats()["in_flight"] > 0)

    proxy.kill()
    await until(lambda: repeated(behind, "connection_error") > before)
    proxy.start()
    ended = [behind.finished(job_id, seconds=120) for job_id in jobs]

    assert {job["status"] for job in ended} == {"succeeded"}, ended
    assert {job["usage"]["turns"] for job in ended} == {3}
    for prompt in prompts:
        completed = [call["messages"] for call in conversation(provider.calls(), prompt) if call["completed"]]
        assert len(completed) <= 4, "no finished turn was bought again but the one whose answer was cut off"


@pytest.mark.parametrize(("fault", "error"), [("429", "rate_limit_error"), ("529", "overloaded_error")])
def test_the_other_door_hides_nothing_and_has_no_chain(
    proxy: LiteLLMProxy, provider: ProviderProcess, fault: str, error: str
) -> None:
    prompt = scripted(fault=fault, times=1, retry_after=1, output_tokens=40)
    with RedisServer() as redis, stack(redis.url, f"{proxy.url}/anthropic", **settings(proxy)) as running:
        job = running.finished(running.submit("assistant", prompt))
        (limits,) = running.http.get("/v1/limits").json()["data"]

        assert job["status"] == "succeeded", job
        assert [call["model"] for call in conversation(provider.calls(), prompt)] == [SONNET, SONNET]
        assert repeated(running, error) == 1
        assert limits["requests"]["limit_per_minute"] == 4000
