"""Where prompts are marked, and that the simulated provider, which caches prompts, reads what it was told to keep."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.provider_process import ProviderProcess
from shared.turn import ResultRecord, Transcript
from shared.usage import Usage
from tests.prompts import scripted
from worker import cache_marks
from worker.agents.researcher import calculator, clock
from worker.pricing import cost_nano
from worker.provider import ModelRequest
from worker.provider_anthropic import AnthropicProvider

TOOLS = [clock.schema(), calculator.schema()]
MARK = {"type": "ephemeral"}
MODEL = "claude-sonnet-4-6"


@pytest.fixture
async def target(provider: ProviderProcess) -> AsyncIterator[AnthropicProvider]:
    made = AnthropicProvider(model=MODEL, base_url=provider.url, api_key="any", max_connections=4)
    yield made
    await made.close()


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def marks(value: Any) -> list[Any]:
    """Every mark in there, with what it stands on."""
    if isinstance(value, list):
        return [found for item in value for found in marks(item)]
    if not isinstance(value, dict):
        return []
    inside = [found for item in value.values() for found in marks(item)]
    return inside + ([value] if "cache_control" in value else [])


def test_the_last_tool_and_the_system_prompt_are_marked() -> None:
    assert marks(cache_marks.on_tools(TOOLS)) == [TOOLS[-1] | {"cache_control": MARK}]
    assert cache_marks.on_system("Be brief.") == [{"type": "text", "text": "Be brief.", "cache_control": MARK}]
    assert marks(TOOLS) == [], "the tools themselves stay as they are"


def test_the_last_two_messages_of_the_user_are_marked() -> None:
    messages = [user("a"), {"role": "assistant", "content": "b"}, user("c"), user([{"type": "text", "text": "d"}])]

    marked = cache_marks.on_messages(messages, goes_on=True)

    assert [block["text"] for block in marks(marked)] == ["c", "d"]
    assert marked[:2] == messages[:2]
    assert marks(cache_marks.on_messages(messages, goes_on=False)) == []


def test_a_callers_own_marks_are_taken_off() -> None:
    theirs = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    inside = {"type": "tool_result", "tool_use_id": "a", "content": [theirs, "odd"]}
    messages = [user([theirs] * 5), {"role": "assistant", "content": [theirs]}, user([inside]), user("last")]

    found = marks(cache_marks.on_messages(messages, goes_on=True))

    assert [block["type"] for block in found] == ["tool_result", "text"]
    assert all(block["cache_control"] == MARK for block in found)


async def ask(target: AnthropicProvider, messages: list[dict[str, Any]]) -> Any:
    request = ModelRequest("Be brief. " * 50, messages, TOOLS, 1000, goes_on=True)
    return await target.stream(request, lambda text: None, lambda headroom: None)


async def test_each_turn_reads_from_the_cache_what_the_one_before_it_asked(target: AnthropicProvider) -> None:
    many = [{"name": "clock", "input": {}}] * 30  # more blocks than a mark looks back for
    transcript = Transcript(scripted(turns=[{"tools": many}, {"tools": many}, {"text": "noon"}]), [])
    sizes, usages = [], []
    for turn in range(1, 4):
        answer = await ask(target, transcript.messages())
        usage: Usage = answer.usage
        usages.append(usage)
        sizes.append(usage.total_tokens - usage.output_tokens)
        messages = [*transcript.messages(), {"role": "assistant", "content": answer.content}]
        results = [
            ResultRecord(turn, block["id"], "clock", "noon " * 20, False, 1)
            for block in answer.content
            if block["type"] == "tool_use"
        ]
        transcript = Transcript([*messages, *Transcript([], results).messages()], [])

    assert [usage.cache_read_input_tokens for usage in usages] == [0, *sizes[:2]], "all of it"
    outputs = [usage.output_tokens for usage in usages]
    plain = [Usage(input_tokens=size, output_tokens=output) for size, output in zip(sizes, outputs, strict=True)]
    cost, cost_without = (sum(cost_nano("anthropic", MODEL, one) for one in some) for some in (usages, plain))
    assert cost < cost_without


async def test_other_jobs_of_an_agent_read_its_tools_and_system_prompt(target: AnthropicProvider) -> None:
    first, second = [(await ask(target, [user(scripted(output_tokens=5))])).usage for _ in range(2)]

    assert first.cache_read_input_tokens == 0
    assert second.cache_read_input_tokens > 100
    assert second.cache_creation_input_tokens < 100
