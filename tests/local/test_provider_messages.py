"""The Messages API as the real SDK sees it: answers, streams, headers, models, caching."""

import asyncio
import json
from datetime import datetime

import anthropic
import httpx2
import pytest


async def finish(sdk, request, run_tool):
    """A whole tool loop; the messages and the last answer."""
    messages = list(request["messages"])
    while True:
        answer = await sdk.messages.create(**{**request, "messages": messages})
        if answer.stop_reason != "tool_use":
            return messages, answer
        calls = [block for block in answer.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": run_tool(call.name, call.input)}
            for call in calls
        ]
        messages += [
            {"role": "assistant", "content": [block.to_dict() for block in answer.content]},
            {"role": "user", "content": results},
        ]


async def test_plain_answer(sdk, ask):
    answer = await sdk.messages.create(**ask("How tall is the Eiffel tower?"))
    assert answer.type == "message"
    assert answer.role == "assistant"
    assert answer.model == "claude-sonnet-4-6"
    assert answer.stop_reason == "end_turn"
    assert "Eiffel tower" in answer.content[0].text
    assert answer.usage.input_tokens == 8  # 29 characters
    assert answer.usage.output_tokens > 10
    assert answer._request_id.startswith("req_")


async def test_stream_puts_together_the_same_answer(sdk, ask):
    request = ask("How tall is the Eiffel tower?")
    plain = await sdk.messages.create(**request)
    async with sdk.messages.stream(**request) as stream:
        texts = [text async for text in stream.text_stream]
        streamed = await stream.get_final_message()
    assert "".join(texts) == streamed.content[0].text == plain.content[0].text
    assert streamed.usage.to_dict() == plain.usage.to_dict()
    assert streamed.stop_reason == plain.stop_reason


async def test_events_on_the_wire(http, ask):
    script = {"turns": [{"text": "Let me see.", "tools": [{"name": "clock", "input": {"zone": "UTC"}}]}]}
    body = {**ask("Hello", **script), "stream": True}
    response = await http.post("/v1/messages", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [
        (lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: ")))
        for lines in (chunk.split("\n") for chunk in response.text.strip().split("\n\n"))
    ]
    assert all(name == data["type"] for name, data in events)
    kinds = [name for name, _ in events if name != "content_block_delta"]
    assert kinds == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_stop",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start, delta = events[0][1], events[-2][1]
    assert start["message"]["content"] == []
    assert start["message"]["usage"]["output_tokens"] == 1
    assert delta["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    arguments = [
        data["delta"]["partial_json"]
        for name, data in events
        if name == "content_block_delta" and data["delta"]["type"] == "input_json_delta"
    ]
    assert json.loads("".join(arguments)) == {"zone": "UTC"}


async def test_output_comes_in_pieces_at_the_given_speed(http, ask):
    body = {**ask(output_tokens=100, tokens_per_second=500), "stream": True}
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with http.stream("POST", "/v1/messages", json=body) as response:
        chunks = [chunk async for chunk in response.aiter_bytes()]
    assert loop.time() - started >= 0.19
    assert len(chunks) >= 3


async def test_max_tokens_cuts_the_answer(sdk, ask):
    request = ask(output_tokens=500, max_tokens=20)
    plain = await sdk.messages.create(**request)
    async with sdk.messages.stream(**request) as stream:
        streamed = await stream.get_final_message()
    for answer in (plain, streamed):
        assert answer.stop_reason == "max_tokens"
        assert answer.usage.output_tokens == 20
        assert len(answer.content[0].text) == 80


async def test_max_tokens_in_a_tool_call_leaves_its_input_unfinished(sdk, ask):
    call = {"name": "write", "input": {"text": "x" * 400}}
    request = ask(turns=[{"tools": [call]}], max_tokens=10)
    plain = await sdk.messages.create(**request)
    assert (plain.stop_reason, plain.content[0].input) == ("max_tokens", {})
    async with sdk.messages.stream(**request) as stream:
        streamed = await stream.get_final_message()
    assert streamed.stop_reason == "max_tokens"
    assert len(streamed.content[0].input.get("text", "")) < 400


async def test_tool_loop_to_the_end(sdk, ask, calculator, clock, provider):
    seen = []

    def run_tool(name, arguments):
        seen.append((name, arguments))
        return {"calculator": "84", "clock": "12:00"}[name]

    request = ask("What is 12 * (3 + 4)?", tools=[calculator, clock])
    messages, answer = await finish(sdk, request, run_tool)
    assert ("calculator", {"expression": "12 * (3 + 4)"}) in seen
    assert '"84"' in answer.content[0].text
    assert len(messages) in (3, 5, 7)
    ids = [
        block["id"]
        for message in messages
        if message["role"] == "assistant"
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    assert len(set(ids)) == len(ids) == len(seen)
    assert provider.stats()["completed"] == len(messages) // 2 + 1


async def test_every_seeded_conversation_ends(sdk, ask, calculator, clock):
    async def turns(number):
        request = ask(f"Question {number}: what now?", tools=[calculator, clock])
        messages, _ = await finish(sdk, request, lambda *_: "ok")
        return len(messages) // 2

    counts = await asyncio.gather(*(turns(number) for number in range(30)))
    assert set(counts) == {1, 2, 3}


async def test_the_same_conversation_gets_the_same_answer(sdk, ask, calculator, clock):
    request = ask("What is 3 * 4?", tools=[calculator, clock])
    first, second = [await sdk.messages.create(**request) for _ in range(2)]
    assert first.content == second.content
    assert first.usage == second.usage
    assert first.id != second.id


async def test_what_cannot_be_undone_is_only_called_by_name(sdk, ask):
    tool = {
        "name": "delete_invoice",
        "description": "Delete an invoice for ever.",
        "input_schema": {
            "type": "object",
            "properties": {"number": {"type": "string"}},
            "required": ["number"],
        },
    }
    unnamed = await sdk.messages.create(**ask("Tidy up INV-7 please", tools=[tool]))
    assert unnamed.stop_reason == "end_turn"
    named = await sdk.messages.create(**ask("Use delete_invoice on INV-7", tools=[tool]))
    assert named.content[0].to_dict() | {"id": ""} == {
        "type": "tool_use",
        "id": "",
        "name": "delete_invoice",
        "input": {"number": "INV-7"},
    }


@pytest.mark.parametrize(
    ("choice", "reasons"),
    [
        ({"type": "none"}, {"end_turn"}),
        ({"type": "any"}, {"tool_use"}),
        ({"type": "tool", "name": "clock"}, {"tool_use"}),
    ],
)
async def test_tool_choice(sdk, ask, clock, choice, reasons):
    answer = await sdk.messages.create(**ask("Hello", tools=[clock]), tool_choice=choice)
    assert {answer.stop_reason} == reasons


async def test_count_tokens(sdk, ask, calculator):
    messages = ask("Hello")["messages"]
    short = await sdk.messages.count_tokens(model="claude-haiku-4-5", messages=messages)
    long = await sdk.messages.count_tokens(
        model="claude-haiku-4-5", messages=messages, tools=[calculator], system="Be brief. " * 100
    )
    assert 0 < short.input_tokens < 10
    assert long.input_tokens > short.input_tokens + 250


async def test_models(sdk):
    models = [model async for model in sdk.models.list()]
    assert {model.id for model in models} >= {"claude-sonnet-4-6", "claude-haiku-4-5", "claude-opus-4-6"}
    one = await sdk.models.retrieve("claude-opus-4-6")
    assert (one.display_name, one.line, one.lifecycle) == ("Claude Opus 4.6", "opus", "active")
    assert one.max_tokens == 128_000
    assert one.created_at.year == 2026
    assert one.capabilities is not None
    type(one).model_validate(one.to_dict(), strict=False)
    with pytest.raises(anthropic.NotFoundError):
        await sdk.models.retrieve("claude-1")


async def test_headers_tell_the_limits(http, ask):
    response = await http.post("/v1/messages", json=ask("Hello"))
    headers = response.headers
    limits = {"requests": 4_000, "input-tokens": 2_000_000, "output-tokens": 400_000, "tokens": 400_000}
    for name, limit in limits.items():
        prefix = f"anthropic-ratelimit-{name}"
        assert int(headers[f"{prefix}-limit"]) == limit
        assert 0 < int(headers[f"{prefix}-remaining"]) <= limit
        assert datetime.fromisoformat(headers[f"{prefix}-reset"]).tzinfo is not None
    assert int(headers["anthropic-ratelimit-input-tokens-remaining"]) % 1_000 == 0
    assert headers["request-id"].startswith("req_")
    assert "retry-after" not in headers


async def test_every_answer_has_a_request_id(http):
    for path in ("/v1/models", "/v1/nothing", "/_sim/stats"):
        assert (await http.get(path)).headers["request-id"].startswith("req_")
    refused = await http.post("/v1/messages", content=b"{")
    assert refused.json()["request_id"] == refused.headers["request-id"]


async def test_prompt_cache_reads_what_an_earlier_call_wrote(sdk, ask):
    system = [{"type": "text", "text": "Be brief. " * 400, "cache_control": {"type": "ephemeral"}}]
    first = (await sdk.messages.create(**ask("One"), system=system)).usage
    second = (await sdk.messages.create(**ask("Two"), system=system)).usage
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (1_000, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 1_000)
    assert second.input_tokens < 10


async def test_a_mark_that_moves_along_still_hits(sdk):
    def marked(text):
        return {"role": "user", "content": [
            {"type": "text", "text": text * 200, "cache_control": {"type": "ephemeral"}}
        ]}  # fmt: skip

    def unmarked(text):
        return {"role": "user", "content": text * 200}

    def call(*messages):
        return sdk.messages.create(model="claude-haiku-4-5", max_tokens=10, messages=messages)

    first = await call(marked("first "))
    reply = {"role": "assistant", "content": "Yes."}
    second = await call(unmarked("first "), reply, marked("second "))
    assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens > 0
    assert second.usage.cache_creation_input_tokens > 0
    assert second.usage.input_tokens == 0


async def test_ledger(sdk, ask, provider):
    await sdk.messages.create(**ask("Where is my parcel?"))
    [call] = provider.calls()
    assert call["conversation"] == "Where is my parcel?"
    assert (call["number"] >= 1, call["messages"], call["stream"], call["status"]) == (True, 1, False, 200)
    assert (call["completed"], call["client_gone"], call["fault"]) == (True, False, None)
    assert call["stop_reason"] == "end_turn"
    assert call["started"] <= call["finished"]
    stats = provider.stats()
    assert (stats["calls"], stats["admitted"], stats["completed"], stats["in_flight"]) == (1, 1, 1, 0)
    assert stats["tokens"]["output_tokens"] == call["usage"]["output_tokens"] > 0
    provider.reset()
    assert provider.calls() == []
    assert provider.stats()["tokens"]["output_tokens"] == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_answer(sdk, ask, provider, eventually, stream):
    request = ask(output_tokens=100_000, tokens_per_second=1_000, max_tokens=64_000)
    if stream:
        async with sdk.messages.stream(**request) as events:
            async for event in events:
                if event.type == "text":
                    break
    else:
        call = asyncio.create_task(sdk.messages.create(**request, timeout=30))
        await eventually(lambda: provider.stats()["in_flight"] == 1)
        call.cancel()
    await eventually(lambda: provider.stats()["client_gone"] == 1)
    [record] = provider.calls()
    assert record["client_gone"]
    assert not record["completed"]
    assert record["usage"]["output_tokens"] < 20_000
    produced = provider.stats()["tokens"]["output_tokens"]
    await sdk.messages.create(**ask(output_tokens=100, tokens_per_second=1_000))
    assert provider.stats()["tokens"]["output_tokens"] == produced + 100


async def test_unknown_paths_and_methods(http):
    missing = await http.get("/v1/completions")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
    wrong = await http.get("/v1/messages")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (405, "invalid_request_error")


async def test_access(provider, ask):
    async with httpx2.AsyncClient(base_url=provider.url, trust_env=False) as client:

        async def status(**headers):
            renamed = {name.replace("_", "-"): value for name, value in headers.items()}
            response = await client.post("/v1/messages", json=ask("Hello"), headers=renamed)
            return response.status_code

        assert await status(anthropic_version="2023-06-01") == 401
        assert await status(x_api_key="invalid", anthropic_version="2023-06-01") == 401
        assert await status(authorization="Bearer invalid", anthropic_version="2023-06-01") == 401
        assert await status(x_api_key="any") == 400
        assert await status(x_api_key="any", anthropic_version="2023-06-01") == 200
        assert await status(authorization="Bearer any", anthropic_version="2023-06-01") == 200
