"""How many input tokens a call can come to: what was counted is exact, the rest is rather too much."""

from typing import Any

import pytest

from local.provider.tokens import count_tokens
from shared.turn import Block, ModelRecord, ResultRecord, Transcript
from shared.usage import Usage
from worker.provider import ModelRequest
from worker.worst_case import input_at_most

TOOLS = [{"name": "look", "description": "Look.", "input_schema": {"type": "object", "properties": {}}}]


def request(*messages: dict[str, Any], tools: list[dict[str, Any]] | None = None) -> ModelRequest:
    return ModelRequest("Be brief.", list(messages), tools or [], 100)


def user(content: str | list[Block]) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize("text", ["Well. " * 500, "天地玄黄" * 500, '{"a": [1, 2, {"b": "c"}]}' * 200, "\n\t" * 300])
def test_an_estimate_is_rather_too_much(text: str) -> None:
    asked = request(user(text), tools=TOOLS)
    counted = sum(count_tokens(part) for part in (asked.system, asked.messages, asked.tools))
    assert counted < input_at_most(asked, None) < 12 * counted


def test_characters_of_many_bytes_are_many_tokens() -> None:
    assert input_at_most(request(user("天" * 1000)), None) > 2.5 * input_at_most(request(user("a" * 1000)), None)


def test_an_image_weighs_what_the_provider_makes_of_it_not_its_bytes() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}
    estimate = input_at_most(request(user([{"type": "image", "source": source}])), None)
    assert 1_600 < estimate < 4_000


def test_what_was_counted_is_not_estimated_again() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    usage = Usage(input_tokens=10, cache_creation_input_tokens=20, cache_read_input_tokens=300, output_tokens=7)
    last = ModelRecord(1, [use], "tool_use", usage, "default", "m", None, 1)
    journal = [last, ResultRecord(1, "toolu_1", "look", "x" * 1000, False, 1)]
    messages = Transcript("y" * 100_000, [*journal]).messages()

    estimate = input_at_most(request(*messages, tools=TOOLS), last)

    assert 337 + 500 < estimate < 337 + 600, "all that was counted, and half a token for each byte of the result"
    assert input_at_most(request(*messages, tools=TOOLS), None) > 50_000
