"""Each fault, as the SDK sees it."""

import json

import anthropic
import httpx2
import pytest

STATUS_FAULTS = {
    "429": (anthropic.RateLimitError, "rate_limit_error", 429),
    "529": (anthropic.OverloadedError, "overloaded_error", 529),
    "500": (anthropic.InternalServerError, "api_error", 500),
}


async def stream(sdk, request):
    """The text that came, and the error that ended it."""
    text = ""
    try:
        async with sdk.messages.stream(**request) as events:
            async for part in events.text_stream:
                text += part
    except Exception as error:
        return text, error
    return text, None


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("fault", STATUS_FAULTS)
async def test_error_answers(sdk, ask, provider, fault, streams):
    kind, error_type, status = STATUS_FAULTS[fault]
    request = ask(fault=fault)
    with pytest.raises(kind) as caught:
        await (stream_all(sdk, request) if streams else sdk.messages.create(**request))
    assert type(caught.value) is kind
    assert (caught.value.type, caught.value.status_code) == (error_type, status)
    assert caught.value.response.headers["anthropic-ratelimit-requests-limit"] == "4000"
    [call] = provider.calls()
    assert (call["fault"], call["status"], call["completed"]) == (fault, status, False)


async def stream_all(sdk, request):
    async with sdk.messages.stream(**request) as events:
        await events.get_final_message()


async def test_429_says_when_to_come_back(sdk, ask):
    for retry_after in (1, 7):
        with pytest.raises(anthropic.RateLimitError) as caught:
            await sdk.messages.create(**ask(fault="429", retry_after=retry_after))
        assert caught.value.response.headers["retry-after"] == str(retry_after)


async def test_429_of_a_spend_limit_does_not(sdk, ask):
    with pytest.raises(anthropic.RateLimitError) as caught:
        await sdk.messages.create(**ask(fault="429", retry_after=None))
    assert "retry-after" not in caught.value.response.headers
    assert caught.value.error_code == "enforced_spend_limit_reached"


@pytest.mark.parametrize("streams", [True, False])
async def test_connection_cut_before_the_headers(sdk, ask, provider, streams):
    request = ask(fault="drop")
    with pytest.raises(anthropic.APIConnectionError):
        await (stream_all(sdk, request) if streams else sdk.messages.create(**request))
    [call] = provider.calls()
    assert (call["status"], call["fault"], call["completed"]) == (None, "drop", False)


async def test_connection_cut_in_mid_stream(sdk, ask, provider):
    text, error = await stream(sdk, ask(fault="drop_mid", output_tokens=200, tokens_per_second=2_000))
    assert isinstance(error, httpx2.RemoteProtocolError), "the SDK does not wrap it"
    assert 0 < len(text) < 800
    [call] = provider.calls()
    assert 100 <= call["usage"]["output_tokens"] < 200


async def test_connection_cut_in_mid_body(sdk, ask):
    with pytest.raises(anthropic.APIConnectionError):
        await sdk.messages.create(**ask(fault="drop_mid"))


async def test_overload_in_mid_stream_has_status_200(sdk, ask):
    text, error = await stream(sdk, ask(fault="overload_mid", output_tokens=200, tokens_per_second=2_000))
    assert type(error) is anthropic.APIStatusError
    assert (error.status_code, error.type) == (200, "overloaded_error")
    assert 0 < len(text) < 800


async def test_overload_of_a_plain_answer_is_a_529(sdk, ask):
    with pytest.raises(anthropic.OverloadedError):
        await sdk.messages.create(**ask(fault="overload_mid"))


@pytest.mark.parametrize("streams", [True, False])
async def test_malformed_json(sdk, ask, streams):
    request = ask(fault="malformed", output_tokens=40)
    with pytest.raises(json.JSONDecodeError):
        await (stream_all(sdk, request) if streams else sdk.messages.create(**request))


@pytest.mark.parametrize("fault", ["hang", "hang_mid"])
async def test_hang_ends_when_the_client_gives_up(sdk, ask, provider, eventually, fault):
    request = ask(fault=fault, output_tokens=100)
    text, error = await stream(sdk.with_options(timeout=1), request)
    assert isinstance(error, anthropic.APITimeoutError if fault == "hang" else httpx2.ReadTimeout)
    assert bool(text) == (fault == "hang_mid")
    await eventually(lambda: provider.stats()["client_gone"] == 1)
    assert provider.stats()["in_flight"] == 0


async def test_slow_is_ten_times_slower(sdk, ask, provider):
    answer = await sdk.messages.create(**ask(fault="slow", latency=0.02, output_tokens=20, tokens_per_second=1_000))
    assert answer.stop_reason == "end_turn"
    [call] = provider.calls()
    assert call["finished"] - call["started"] >= 0.39


async def test_only_the_first_calls_of_a_step(sdk, ask):
    request = ask(turns=[{"text": "At last", "fault": "529", "times": 2}])
    for _ in range(2):
        with pytest.raises(anthropic.OverloadedError):
            await sdk.messages.create(**request)
    assert (await sdk.messages.create(**request)).content[0].text == "At last"
    other = ask("Another conversation", turns=[{"text": "At last", "fault": "529", "times": 1}])
    with pytest.raises(anthropic.OverloadedError):
        await sdk.messages.create(**other)


async def test_only_one_step(sdk, ask):
    request = ask(turns=[{"tools": [{"name": "clock"}]}, {"text": "Done", "fault": "500", "times": 1}])
    first = await sdk.messages.create(**request)
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "12:00"}
    request["messages"] += [
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    with pytest.raises(anthropic.InternalServerError):
        await sdk.messages.create(**request)
    assert (await sdk.messages.create(**request)).content[0].text == "Done"


async def test_an_outage_for_all_by_count(sdk, ask, provider):
    provider.set_fault("529", count=2)
    for number in range(2):
        with pytest.raises(anthropic.OverloadedError):
            await sdk.messages.create(**ask(f"Call {number}"))
    await sdk.messages.create(**ask("Call 3"))


async def test_an_outage_for_all_until_it_is_ended(sdk, ask, provider):
    provider.set_fault("500")
    for _ in range(3):
        with pytest.raises(anthropic.InternalServerError):
            await sdk.messages.create(**ask("Hello"))
    provider.set_fault(None)
    await sdk.messages.create(**ask("Hello"))


async def test_an_outage_for_all_by_time(sdk, ask, provider, eventually):
    provider.set_fault("529", seconds=0.5)

    async def works():
        try:
            await sdk.messages.create(**ask("Hello"))
        except anthropic.OverloadedError:
            return False
        return True

    while not await works():
        pass
    failed = [call for call in provider.calls() if call["fault"]]
    assert failed
    assert provider.calls()[-1]["started"] - failed[0]["started"] <= 5


async def test_an_outage_of_one_model(sdk, ask, provider):
    provider.set_fault("529", model="claude-sonnet-4-6")
    with pytest.raises(anthropic.OverloadedError):
        await sdk.messages.create(**ask("Hello"))
    await sdk.messages.create(**ask("Hello") | {"model": "claude-haiku-4-5"})


async def test_a_fault_by_chance(sdk, ask, provider):
    provider.set_fault("500", probability=0.5)
    failures = 0
    for number in range(60):
        try:
            await sdk.messages.create(**ask(f"Call {number}"))
        except anthropic.InternalServerError:
            failures += 1
    assert 10 < failures < 50


async def test_a_wrong_fault_is_refused(http):
    for body in ({"fault": "418"}, {"fault": "529", "count": 0}, {"falt": "529"}):
        response = await http.post("/_sim/faults", json=body)
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_request_error"


async def test_faults_cost_no_tokens(sdk, ask, provider):
    provider.set_fault("529", count=1)
    with pytest.raises(anthropic.OverloadedError):
        await sdk.messages.create(**ask("Hello"))
    stats = provider.stats()
    assert (stats["admitted"], stats["tokens"]["input_tokens"], stats["errors_5xx"]) == (0, 0, 1)
