"""The Anthropic provider through its real SDK, against the simulated API: answers, headroom and every way to fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import pytest

from local.provider_process import ProviderProcess
from shared.pool import NOTHING_SAID, Headroom
from shared.turn import ModelRecord, ResultRecord, Transcript
from shared.usage import Usage
from tests.prompts import scripted
from tests.waiting import until
from worker import provider_anthropic
from worker.agent_loop import run_agent
from worker.agents import Agent
from worker.agents.researcher import calculator, clock
from worker.provider import Answer, ModelRequest, ProviderBusy, ProviderDown, ProviderError, ProviderRefused
from worker.provider_anthropic import AnthropicProvider
from worker.tool_runner import ToolOutcome

AGENT = Agent(name="tester", system="Be brief.", tools=[clock, calculator])
TOOLS = AGENT.tool_schemas()


@asynccontextmanager
async def client(url: str, *, model: str = "claude-sonnet-4-6", key: str = "any") -> AsyncIterator[AnthropicProvider]:
    made = AnthropicProvider(model=model, base_url=url, api_key=key, max_connections=4)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def target(provider: ProviderProcess) -> AsyncIterator[AnthropicProvider]:
    async with client(provider.url) as made:
        yield made


def request(prompt: str | list[dict[str, Any]], **fields: Any) -> ModelRequest:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return ModelRequest(**{"system": "Be brief.", "messages": messages, "tools": [], "max_tokens": 1000, **fields})


async def ask(
    target: AnthropicProvider, asked: ModelRequest, on_text: Callable[[str], None] = lambda text: None
) -> Any:
    return await target.stream(asked, on_text, lambda headroom: None)


async def failure(target: AnthropicProvider, asked: ModelRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await target.stream(asked, lambda text: None, lambda headroom: None)
    return caught.value


# Answers


async def test_text_is_handed_on_as_it_comes(target: AnthropicProvider) -> None:
    heard: list[str] = []

    answer = await ask(target, request(scripted(output_tokens=200, tokens_per_second=1000)), heard.append)

    assert len(heard) > 1
    assert answer.content == [{"type": "text", "text": "".join(heard)}]
    assert answer.stop_reason == "end_turn"
    assert answer.model == "claude-sonnet-4-6"


async def test_usage_and_request_id_are_what_the_provider_counted(
    target: AnthropicProvider, provider: ProviderProcess
) -> None:
    answer = await ask(target, request(scripted(output_tokens=60), tools=TOOLS))

    (call,) = provider.calls()
    assert answer.request_id == call["request_id"]
    assert answer.usage.output_tokens == call["usage"]["output_tokens"] == 60
    assert answer.usage.input_tokens == call["usage"]["input_tokens"] > 0
    assert answer.usage == Usage(**call["usage"]), "tokens only"


@pytest.mark.parametrize("fault", ["drop_mid", "overload_mid"])
@pytest.mark.parametrize("tools", [False, True])
async def test_what_an_answer_has_cost_is_known_when_it_breaks_off(
    target: AnthropicProvider, provider: ProviderProcess, fault: str, tools: bool
) -> None:
    used: list[Usage] = []
    words: dict[str, Any] = {"text": "Well. " * 200}
    if tools:
        words = {"tools": [{"name": "calculator", "input": {"expression": "1 + 1 " * 200}}]}
    asked = request(scripted(turns=[words], fault=fault))
    with pytest.raises(ProviderError):
        await target.stream(asked, lambda text: None, lambda headroom: None, used.append)

    (call,) = provider.calls()
    assert used[0].input_tokens == used[-1].input_tokens == call["usage"]["input_tokens"]
    assert [one.output_tokens for one in used] == sorted(one.output_tokens for one in used)
    assert used[-1].output_tokens == pytest.approx(call["usage"]["output_tokens"], rel=0.2, abs=10)


async def test_an_answer_tells_what_it_costs_as_it_goes(target: AnthropicProvider) -> None:
    used: list[Usage] = []
    asked = request(scripted(output_tokens=200))
    answer = await target.stream(asked, lambda text: None, lambda headroom: None, used.append)
    assert used[-1] == answer.usage, "the provider's own count has the last word"


async def test_headroom_is_told_before_the_answer_has_ended(target: AnthropicProvider) -> None:
    heard: list[Headroom | str] = []

    await target.stream(request(scripted(output_tokens=60)), heard.append, heard.append)

    first, *texts = heard
    assert isinstance(first, Headroom)
    assert all(isinstance(text, str) for text in texts)
    assert first.limit == {"requests": 4000, "input": 2_000_000, "output": 400_000}
    assert first.remaining.keys() == {"requests", "input", "output"}
    assert first.remaining["requests"] < 4000


async def test_tool_calls_come_with_their_input(target: AnthropicProvider) -> None:
    given = {"expression": "1 + 1", "nothing": None, "deep": {"list": [1, None, "é"]}}
    answer = await ask(
        target, request(scripted(turns=[{"text": "Let me see.", "tools": [{"name": "calculator", "input": given}]}]))
    )

    said, use = answer.content
    assert answer.stop_reason == "tool_use"
    assert said == {"type": "text", "text": "Let me see."}
    assert use == {"type": "tool_use", "id": use["id"], "name": "calculator", "input": given}


@pytest.mark.parametrize(
    ("directive", "reason"),
    [
        ({"turns": [{"stop_reason": "max_tokens"}]}, "max_tokens"),
        ({"refuse": True}, "refusal"),
        ({"output_tokens": 1500}, "max_tokens"),
        ({"turns": [{"text": ""}]}, "end_turn"),
    ],
)
async def test_every_stop_reason_is_an_answer(
    target: AnthropicProvider, directive: dict[str, Any], reason: str
) -> None:
    assert (await ask(target, request(scripted(tokens_per_second=100_000, **directive)))).stop_reason == reason


async def test_a_request_without_system_and_tools_is_good(target: AnthropicProvider) -> None:
    assert (await ask(target, request("Hello", system=""))).stop_reason == "end_turn"


class Buying:
    """Effects of the agent loop that only know the provider."""

    def __init__(self, target: AnthropicProvider) -> None:
        self._target = target
        self.saved: list[Any] = []

    def limit_reached(self, transcript: Transcript) -> None:
        return None

    async def call_model(self, transcript: Transcript, turn: int) -> Any:
        answer: Answer = await ask(self._target, request(transcript.messages(), tools=AGENT.tool_schemas()))
        return _record(answer, turn)

    async def run_tool(self, call: Any) -> Any:
        return ToolOutcome(f"{call.name} says 4", is_error=call.name == "clock")

    async def hear(self, transcript: Transcript) -> None:
        """Nobody says anything."""

    async def save(self, record: Any) -> None:
        self.saved.append(record)


def _record(answer: Answer, turn: int) -> ModelRecord:
    return ModelRecord(turn, answer.content, answer.stop_reason, answer.usage, "default", answer.model, None, 1)


async def test_what_was_said_can_be_sent_back_turn_after_turn(target: AnthropicProvider) -> None:
    """The API refuses answers with fields that only answers have, and tool calls without their results."""
    both = [{"name": "clock", "input": {}}, {"name": "calculator", "input": {"expression": "2+2"}}]
    prompt = scripted(turns=[{"text": "One", "tools": both}, {"tools": both[:1]}, {"text": "Done."}])
    effects = Buying(target)

    ended = await run_agent(AGENT, Transcript(prompt, []), effects)

    assert ended.output == "Done."
    assert sum(isinstance(record, ResultRecord) for record in effects.saved) == 3


async def test_a_cancelled_call_hangs_up(target: AnthropicProvider, provider: ProviderProcess) -> None:
    task = asyncio.create_task(ask(target, request(scripted(latency=30))))
    await until(lambda: len(provider.calls()) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: provider.calls()[0]["client_gone"])


# Faults


@pytest.mark.parametrize(
    ("fault", "kind", "type"),
    [
        ("429", ProviderBusy, "rate_limit_error"),
        ("529", ProviderDown, "overloaded_error"),
        ("500", ProviderDown, "api_error"),
        ("drop", ProviderDown, "connection_error"),
        ("drop_mid", ProviderDown, "broken_answer"),
        ("overload_mid", ProviderDown, "overloaded_error"),
        ("malformed", ProviderDown, "broken_answer"),
    ],
)
async def test_a_fault_has_the_class_that_says_whether_to_try_again(
    target: AnthropicProvider, fault: str, kind: type[ProviderError], type: str
) -> None:
    error = await failure(target, request(scripted(fault=fault, output_tokens=200)))

    assert error.__class__ is kind
    assert error.type == type
    assert error.began is (fault in ("drop_mid", "overload_mid", "malformed"))


@pytest.mark.parametrize(("fault", "type"), [("hang", "connection_error"), ("hang_mid", "broken_answer")])
async def test_silence_ends_after_a_while(
    provider: ProviderProcess, monkeypatch: pytest.MonkeyPatch, fault: str, type: str
) -> None:
    monkeypatch.setattr(provider_anthropic, "_SILENCE_SECONDS", 0.3)
    async with client(provider.url) as impatient:
        error = await failure(impatient, request(scripted(fault=fault, output_tokens=200)))

    assert isinstance(error, ProviderDown)
    assert (error.type, error.began) == (type, fault == "hang_mid")


async def test_a_rate_limit_says_when_to_come_back_and_what_is_left(target: AnthropicProvider) -> None:
    error = await failure(target, request(scripted(fault="429", retry_after=7)))

    assert error.retry_after == 7
    assert error.request_id
    assert error.headroom.limit["requests"] == 4000
    assert str(error)


async def test_a_spend_limit_does_not_say_when(target: AnthropicProvider) -> None:
    error = await failure(target, request(scripted(fault="429", retry_after=None)))

    assert isinstance(error, ProviderBusy)
    assert error.retry_after is None


async def test_the_sdk_does_not_try_again_by_itself(target: AnthropicProvider, provider: ProviderProcess) -> None:
    await failure(target, request(scripted(fault="529")))
    assert len(provider.calls()) == 1


async def test_a_wrong_key_is_refused(provider: ProviderProcess) -> None:
    async with client(provider.url, key="invalid") as target:
        error = await failure(target, request("Hello"))
        with pytest.raises(ProviderRefused, match="invalid x-api-key"):
            await target.probe()

    assert isinstance(error, ProviderRefused)
    assert error.type == "authentication_error"


async def test_an_unknown_model_is_refused(provider: ProviderProcess) -> None:
    async with client(provider.url, model="claude-nonesuch") as target:
        error = await failure(target, request("Hello"))

    assert isinstance(error, ProviderRefused)
    assert error.type == "not_found_error"
    assert "claude-nonesuch" in str(error)


async def test_a_bad_request_is_refused_with_the_providers_words(target: AnthropicProvider) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}
    unpaired = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": [use]}]
    error = await failure(target, request([*unpaired, {"role": "user", "content": "Well?"}], tools=TOOLS))

    assert isinstance(error, ProviderRefused)
    assert error.type == "invalid_request_error"
    assert "tool_result" in str(error)
    assert error.request_id


async def test_nobody_at_the_address_is_the_weather() -> None:
    async with client("http://127.0.0.1:9") as target:
        error = await failure(target, request("Hello"))
        with pytest.raises(ProviderDown):
            await target.probe()

    assert isinstance(error, ProviderDown)
    assert error.type == "connection_error"
    assert not error.began


async def test_a_probe_of_a_provider_that_is_there_costs_nothing(
    target: AnthropicProvider, provider: ProviderProcess
) -> None:
    await target.probe()
    assert provider.stats()["admitted"] == 0


# Somebody else at the address: a proxy, a gateway, a login page.

_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 1},
}
BEGINNING = f"event: message_start\ndata: {json.dumps({'type': 'message_start', 'message': _MESSAGE})}\n\n"
"""Of an answer in a stream."""


@asynccontextmanager
async def stranger(status: str, body: str, content_type: str, header: str = "via: us") -> AsyncIterator[str]:
    """A server that gives everybody this answer; its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
        writer.write(f"{head}{header}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("status", "body", "content_type", "kind", "type"),
    [
        ("502 Bad Gateway", "<html>502</html>", "text/html", ProviderDown, "http_502"),
        ("429 Too Many Requests", "slow down", "text/plain", ProviderBusy, "http_429"),
        ("403 Forbidden", "<html>no</html>", "text/html", ProviderRefused, "http_403"),
        ("408 Request Timeout", "", "text/plain", ProviderDown, "http_408"),
        ("200 OK", "<html>Please log in</html>", "text/html", ProviderDown, "broken_answer"),
        ("200 OK", "{bad", "application/json", ProviderDown, "broken_answer"),
        ("200 OK", "[]", "application/json", ProviderDown, "broken_answer"),
        ("200 OK", "", "application/json", ProviderDown, "broken_answer"),
    ],
)
async def test_an_answer_of_somebody_else_is_a_provider_error(
    status: str, body: str, content_type: str, kind: type[ProviderError], type: str
) -> None:
    async with stranger(status, body, content_type) as url, client(url) as target:
        asked = await failure(target, request("Hello"))
        with pytest.raises(ProviderError) as probed:
            await target.probe()

    for error in (asked, probed.value):
        assert (error.__class__, error.type) == (kind, type)


def said(type: str, **fields: str) -> str:
    return json.dumps({"type": "error", "error": {"type": type, "message": "so it is"}, **fields})


# Every error of the API, as it comes (docs.anthropic.com/en/api/errors), and then some with a status that does not fit.
WITH_THEIR_STATUS = [
    ("400 Bad Request", "invalid_request_error", ProviderRefused),
    ("401 Unauthorized", "authentication_error", ProviderRefused),
    ("402 Payment Required", "billing_error", ProviderRefused),
    ("403 Forbidden", "permission_error", ProviderRefused),
    ("404 Not Found", "not_found_error", ProviderRefused),
    ("413 Payload Too Large", "request_too_large", ProviderRefused),
    ("429 Too Many Requests", "rate_limit_error", ProviderBusy),
    ("500 Internal Server Error", "api_error", ProviderDown),
    ("504 Gateway Timeout", "timeout_error", ProviderDown),
    ("529 Overloaded", "overloaded_error", ProviderDown),
    ("400 Bad Request", "overloaded_error", ProviderDown),
    ("500 Internal Server Error", "permission_error", ProviderRefused),
    ("500 Internal Server Error", "rate_limit_error", ProviderBusy),
    ("400 Bad Request", "new_kind_of_error", ProviderRefused),
    ("503 Service Unavailable", "new_kind_of_error", ProviderDown),
]


@pytest.mark.parametrize(("status", "type", "kind"), WITH_THEIR_STATUS)
async def test_each_error_of_the_api_has_its_class_and_its_request_id(
    status: str, type: str, kind: type[ProviderError]
) -> None:
    async with stranger(status, said(type, request_id="req_7"), "application/json") as url, client(url) as target:
        error = await failure(target, request("Hello"))

    assert (error.__class__, error.type, str(error), error.request_id) == (kind, type, "so it is", "req_7")
    assert not error.began


@pytest.mark.parametrize(("type", "kind"), {type: kind for _, type, kind in WITH_THEIR_STATUS[:10]}.items())
async def test_each_error_can_come_in_mid_stream_with_status_200(type: str, kind: type[ProviderError]) -> None:
    body = f"{BEGINNING}event: error\ndata: {said(type, request_id='req_7')}\n\n"
    async with stranger("200 OK", body, "text/event-stream") as url, client(url) as target:
        error = await failure(target, request("Hello"))

    assert (error.__class__, error.type, str(error), error.request_id) == (kind, type, "so it is", "req_7")
    assert error.began


async def test_an_answer_that_ends_too_soon_is_the_weather() -> None:
    async with stranger("200 OK", BEGINNING, "text/event-stream", "request-id: req_8") as url, client(url) as target:
        error = await failure(target, request("Hello"))

    assert (error.__class__, error.type, error.request_id) == (ProviderDown, "broken_answer", "req_8")
    assert error.began


async def test_a_cut_connection_has_a_request_id_too(target: AnthropicProvider, provider: ProviderProcess) -> None:
    error = await failure(target, request(scripted(fault="drop_mid", output_tokens=200)))
    assert error.request_id == provider.calls()[0]["request_id"]


@pytest.mark.parametrize(("kind", "ours"), provider_anthropic._ERRORS.items())
def test_the_type_decides_whatever_the_status(kind: str, ours: type[ProviderError]) -> None:
    """An overload in mid-stream comes with status 200."""
    response = httpx2.Response(200, request=httpx2.Request("POST", "http://provider/v1/messages"))
    body = {"type": "error", "error": {"type": kind, "message": "so it is"}}
    error = anthropic.APIStatusError("?", response=response, body=body)

    translated = provider_anthropic._translated(error, began=True)

    assert translated.__class__ is ours
    assert (translated.type, str(translated), translated.began) == (kind, "so it is", True)


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, None), ("", None), ("7", 7), ("0.5", 0.5), ("-1", 0), ("Mon", None)]
)
def test_retry_after_is_seconds_or_nothing(text: str | None, seconds: float | None) -> None:
    assert provider_anthropic._seconds(text) == seconds


# Through a gateway

OUR_BUDGET = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-output-tokens-remaining": "8000",
}


@pytest.mark.parametrize("prefix", ["", "llm_provider-"])
def test_headroom_is_read_under_a_gateways_names_too(prefix: str) -> None:
    headers = httpx2.Headers({prefix + name: value for name, value in OUR_BUDGET.items()})

    assert provider_anthropic._headroom(headers) == Headroom(
        limit={"requests": 50, "input": 30_000}, remaining={"requests": 49, "output": 8_000}
    )


def test_a_stand_ins_headroom_is_not_ours() -> None:
    headers = httpx2.Headers({f"llm_provider-{name}": value for name, value in OUR_BUDGET.items()})

    headers["x-litellm-attempted-fallbacks"] = "0"
    assert provider_anthropic._headroom(headers).limit
    headers["x-litellm-attempted-fallbacks"] = "1"
    assert provider_anthropic._headroom(headers) == NOTHING_SAID


@pytest.mark.parametrize("name", ["retry-after", "llm_provider-retry-after"])
def test_a_gateway_hands_on_when_to_come_back(name: str) -> None:
    response = httpx2.Response(429, headers={name: "7"}, request=httpx2.Request("POST", "http://gateway/v1/messages"))
    error = anthropic.APIStatusError("?", response=response, body=None)

    assert provider_anthropic._translated(error, began=False).retry_after == 7


@pytest.mark.parametrize(
    ("deployed", "fallbacks", "served"),
    [
        ("", "0", "asked"),
        ("anthropic/claude-haiku-4-5", "0", "claude-haiku-4-5"),
        ("anthropic/claude-haiku-4-5", "1", "claude-haiku-4-5"),
        ("bedrock/anthropic.claude-haiku-4-5", "0", "asked"),
        ("bedrock/anthropic.claude-haiku-4-5", "1", "anthropic.claude-haiku-4-5"),
        ("", "1", "asked"),
    ],
)
def test_the_model_served_is_what_the_gateway_asked(deployed: str, fallbacks: str, served: str) -> None:
    headers = {"x-litellm-model-name": deployed, "x-litellm-attempted-fallbacks": fallbacks}

    assert provider_anthropic._served("asked", headers) == served
