"""What the real API refuses is refused: status, error type, and a message that names the mistake."""

import anthropic
import pytest

USER = {"role": "user", "content": "Hello"}
CALL = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}],
}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "12:00"}
TOOL = {"name": "clock", "input_schema": {"type": "object", "properties": {}}}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def text(words):
    return {"type": "text", "text": words}


REFUSED = {
    "no max_tokens": ({"max_tokens": None}, "max_tokens: Field required"),
    "max_tokens a text": ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    "max_tokens zero": ({"max_tokens": 0}, "greater than or equal to 1"),
    "max_tokens too many": ({"max_tokens": 64_001}, "maximum allowed number of output tokens"),
    "no model": ({"model": None}, "model: Field required"),
    "no messages": ({"messages": None}, "messages: Field required"),
    "empty messages": ({"messages": []}, "at least one message"),
    "messages a text": ({"messages": "Hello"}, "messages: Input should be a valid list"),
    "unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    "no content": ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    "the assistant first": (
        {"messages": [{"role": "assistant", "content": "Hi"}, USER]},
        "first message must",
    ),
    "prefill": ({"messages": [USER, {"role": "assistant", "content": "Well"}]}, "prefill"),
    "empty string": ({"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
    "empty text": ({"messages": [user(text(""))]}, "text content blocks must be non-empty"),
    "blank text": ({"messages": [user(text(" \n"))]}, "non-whitespace"),
    "empty system": ({"system": [text("")]}, "system: text content blocks must be non-empty"),
    "text without text": ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text.text"),
    "no result at the end": ({"messages": [USER, CALL]}, "`tool_use` ids were found without `tool_result`"),
    "no result": ({"messages": [USER, CALL, USER]}, "toolu_1"),
    "text before the result": ({"messages": [USER, CALL, user(text("So"), RESULT)]}, "immediately after"),
    "result without call": ({"messages": [user(RESULT)]}, "unexpected `tool_use_id`"),
    "result twice": ({"messages": [USER, CALL, user(RESULT, RESULT)]}, "single result"),
    "id used twice": ({"messages": [USER, CALL, user(RESULT), CALL, user(RESULT)]}, "ids must be unique"),
    "call by the user": ({"messages": [user(*CALL["content"])]}, "only be in `assistant`"),
    "same tool twice": ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    "bad tool name": ({"tools": [TOOL | {"name": "a b"}]}, "tools.0.custom.name: String should match"),
    "long tool name": ({"tools": [TOOL | {"name": "a" * 129}]}, "String should match pattern"),
    "tool without schema": ({"tools": [{"name": "clock"}]}, "input_schema: Field required"),
    "tool of no object": ({"tools": [TOOL | {"input_schema": {"type": "string"}}]}, "should be 'object'"),
    "server tool": ({"tools": [{"type": "web_search_20250305", "name": "web"}]}, "only knows client tools"),
    "choice of no tool": ({"tool_choice": {"type": "any"}}, "while providing tools"),
    "unknown tool chosen": ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "'x' not found"),
    "removed parameter": ({"temperature": 0.5}, "temperature: this parameter was removed"),
    "five cache marks": (
        {"system": [text("x") | {"cache_control": {"type": "ephemeral"}}] * 5},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_refused(http, change, message):
    request = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [USER], **change}
    request = {name: value for name, value in request.items() if value is not None}
    response = await http.post("/v1/messages", json=request)
    body = response.json()
    assert response.status_code == 400
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert message in body["error"]["message"]


async def test_an_older_version_still_knows_the_removed_parameters(http, ask):
    request = ask("Hello") | {"temperature": 0.5}
    response = await http.post("/v1/messages", json=request, headers={"anthropic-version": "2023-06-01"})
    assert response.status_code == 200


async def test_a_model_with_prefill_goes_on(sdk):
    answer = await sdk.messages.create(
        model="claude-haiku-4-5", max_tokens=100, messages=[USER, {"role": "assistant", "content": "Well"}]
    )
    assert answer.stop_reason == "end_turn"


async def test_adjacent_messages_of_one_role_are_one(sdk):
    split = [USER, CALL, user(RESULT), user(text("And now?"))]
    answer = await sdk.messages.create(model="claude-sonnet-4-6", max_tokens=100, messages=split)
    assert answer.type == "message"


async def test_unknown_model(sdk, ask):
    with pytest.raises(anthropic.NotFoundError) as caught:
        await sdk.messages.create(**ask("Hello") | {"model": "claude-1"})
    assert caught.value.type == "not_found_error"
    assert caught.value.request_id.startswith("req_")


async def test_not_json(http):
    response = await http.post("/v1/messages", content=b"{'a'}")
    assert response.status_code == 400
    assert "not valid JSON" in response.json()["error"]["message"]


async def test_a_body_over_32_megabytes(sdk, ask):
    with pytest.raises(anthropic.ContentTooLargeError) as caught:
        await sdk.messages.create(**ask("x" * (32 * 1024 * 1024)))
    assert caught.value.status_code == 413
    assert caught.value.type == "request_too_large"


async def test_an_invalid_key(provider, ask):
    async with anthropic.AsyncAnthropic(api_key="invalid", base_url=provider.url, max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await client.messages.create(**ask("Hello"))
    assert caught.value.type == "authentication_error"


async def test_counting_tokens_refuses_alike(sdk):
    with pytest.raises(anthropic.BadRequestError):
        await sdk.messages.count_tokens(model="claude-sonnet-4-6", messages=[user(RESULT)])


async def test_refusals_are_in_the_ledger(http, provider):
    await http.post("/v1/messages", json={"model": "claude-1"})
    [call] = provider.calls()
    assert (call["status"], call["completed"], call["usage"]) == (404, False, {})
    assert provider.stats()["errors_4xx"] == 1
