"""The Anthropic Messages API through its own SDK; this module alone knows it.

The SDK's own retries are off: each attempt has to pass the gate. Calls are always streamed, since the API refuses
long ones that are not, and an overload can come in mid-stream with status 200; so errors are told apart by their
`type`, not by the status. See https://docs.anthropic.com/en/api/errors and …/api/rate-limits.

The address may be a gateway's. LiteLLM Proxy hands on the provider's headers under other names, and when it falls back
to another model it gives the answer the name of the one that was asked; deploy/gateway/README.md has what it does.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
from anthropic.types import Message

from shared.pool import NOTHING_SAID, Headroom
from shared.turn import Block
from shared.usage import Usage
from worker import cache_marks
from worker.provider import (
    Answer,
    ModelRequest,
    ProviderBusy,
    ProviderDown,
    ProviderError,
    ProviderRefused,
    unheard,
)

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 120.0
"""How long a stream may say nothing; the API sends pings while the model thinks."""
_PROBE_SECONDS = 5.0
_CHARACTERS_PER_TOKEN = 4
"""About, of an answer whose tokens the provider has not counted."""

_ERRORS: dict[str, type[ProviderError]] = {
    "rate_limit_error": ProviderBusy,
    "overloaded_error": ProviderDown,
    "api_error": ProviderDown,
    "timeout_error": ProviderDown,
    "invalid_request_error": ProviderRefused,
    "authentication_error": ProviderRefused,
    "billing_error": ProviderRefused,
    "permission_error": ProviderRefused,
    "not_found_error": ProviderRefused,
    "request_too_large": ProviderRefused,
}
_DIMENSIONS = {"requests": "requests", "input": "input-tokens", "output": "output-tokens"}

_HANDED_ON = "llm_provider-"
"""What LiteLLM Proxy puts before the names of the provider's headers."""


class AnthropicProvider:
    """One model of one account. Implements `worker.provider.Provider`."""

    def __init__(self, *, model: str, base_url: str, api_key: str, max_connections: int) -> None:
        self._model = model
        timeout = httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            http_client=anthropic.DefaultAsyncHttpxClient(
                timeout=timeout,
                limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            ),
        )

    async def stream(
        self,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_headroom: Callable[[Headroom], None],
        on_usage: Callable[[Usage], None] = unheard,
    ) -> Answer:
        began, request_id = False, None
        try:
            async with self._client.messages.stream(**self._arguments(request)) as stream:
                request_id = stream.request_id
                async for event in stream:
                    began = True
                    if event.type == "message_start":
                        meter = _Meter(_usage(event.message), on_usage)
                        counted = meter.begun.counted_input_tokens
                        on_headroom(replace(_headroom(stream.response.headers), input_tokens=counted))
                    elif event.type == "message_delta":
                        meter.counted(_usage(stream.current_message_snapshot))
                    elif event.type == "text":
                        meter.said(event.text)
                        on_text(event.text)
                    elif event.type == "input_json":
                        meter.said(event.partial_json)
                    elif event.type == "thinking":
                        meter.said(event.thinking)
                message = await stream.get_final_message()
                model = _served(message.model, stream.response.headers)
        except anthropic.APIError as error:
            raise _translated(error, began) from error
        except (httpx2.HTTPError, json.JSONDecodeError, ValueError, AssertionError) as error:
            raise ProviderDown(
                f"the answer broke off: {type(error).__name__}",
                type="broken_answer",
                request_id=request_id,
                began=began,
            ) from error
        if message.stop_reason is None:
            raise ProviderDown(
                "the answer ended before it was complete", type="broken_answer", request_id=request_id, began=True
            )
        return Answer(
            content=_blocks(message),
            stop_reason=message.stop_reason,
            usage=_usage(message),
            model=model,
            request_id=request_id,
        )

    async def probe(self) -> None:
        try:
            await self._client.models.list(limit=1, timeout=_PROBE_SECONDS)
        except anthropic.APIError as error:
            raise _translated(error, began=False) from error
        except (httpx2.HTTPError, ValueError, AttributeError) as error:  # a 200 that is no list of models
            raise ProviderDown(f"the answer makes no sense: {type(error).__name__}", type="broken_answer") from error

    async def close(self) -> None:
        await self._client.close()

    def _arguments(self, request: ModelRequest) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": self._model,
            "max_tokens": request.max_tokens,
            "messages": cache_marks.on_messages(request.messages, goes_on=request.goes_on),
        }
        if request.system:
            arguments["system"] = cache_marks.on_system(request.system)
        if request.tools:
            arguments["tools"] = cache_marks.on_tools(request.tools)
        return arguments


class _Meter:
    """What a call has used so far. The provider counts its input at the beginning and its output at the end."""

    def __init__(self, begun: Usage, on_usage: Callable[[Usage], None]) -> None:
        self.begun = begun
        self._on_usage = on_usage
        self._characters = 0
        on_usage(begun)

    def said(self, text: str) -> None:
        self._characters += len(text)
        estimate = math.ceil(self._characters / _CHARACTERS_PER_TOKEN)
        self._on_usage(replace(self.begun, output_tokens=max(self.begun.output_tokens, estimate)))

    def counted(self, usage: Usage) -> None:
        self._on_usage(usage)


def _translated(error: anthropic.APIError, began: bool) -> ProviderError:
    if not isinstance(error, anthropic.APIStatusError):
        return ProviderDown(
            f"no connection to the provider: {type(error).__name__}", type="connection_error", began=began
        )
    kind = _ERRORS.get(error.type or "") or _by_status(error.status_code)
    return kind(
        error.api_message or error.message,
        type=error.type or f"http_{error.status_code}",
        request_id=error.request_id or _request_id_in(error.body),
        retry_after=_seconds(_said(error.response.headers, "retry-after")),
        began=began,
        headroom=_headroom(error.response.headers),
    )


def _request_id_in(body: object) -> str | None:
    """Gateways drop headers, but not what is said in the answer itself."""
    found = body.get("request_id") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def _by_status(status: int) -> type[ProviderError]:
    """For an answer that names no type, such as a gateway's own."""
    if status == 429:
        return ProviderBusy
    return ProviderRefused if 400 <= status < 500 and status not in (408, 409) else ProviderDown


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _blocks(message: Message) -> list[Block]:
    """Content as it may be sent back: what the model said, without the fields only an answer has."""
    return [block.model_dump(mode="json", exclude_none=True, exclude={"parsed_output"}) for block in message.content]


def _usage(message: Message) -> Usage:
    usage = message.usage
    return Usage(
        input_tokens=usage.input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens or 0,
        cache_read_input_tokens=usage.cache_read_input_tokens or 0,
        output_tokens=usage.output_tokens,
    )


def _headroom(headers: Mapping[str, str]) -> Headroom:
    """What is left of our budget; nothing when a gateway has asked another model, whose budget is not ours."""
    if _fell_back(headers):
        return NOTHING_SAID

    def read(what: str) -> dict[str, int]:
        named = {name: _said(headers, f"anthropic-ratelimit-{header}-{what}") for name, header in _DIMENSIONS.items()}
        return {name: int(text) for name, text in named.items() if text.isascii() and text.isdecimal()}

    return Headroom(limit=read("limit"), remaining=read("remaining"))


def _served(named: str, headers: Mapping[str, str]) -> str:
    """The model that answered, `named` by the answer itself: by a gateway's headers, if they know better.

    A gateway's own name for a model of Anthropic becomes the true one, which has a price. A model of somebody else
    keeps the name that was asked for, unless it stood in for it.
    """
    whose, _, model = headers.get("x-litellm-model-name", "").rpartition("/")
    return model if model and (whose == "anthropic" or _fell_back(headers)) else named


def _fell_back(headers: Mapping[str, str]) -> bool:
    return headers.get("x-litellm-attempted-fallbacks", "0") != "0"


def _said(headers: Mapping[str, str], name: str) -> str:
    """The provider's header, be it handed on by a gateway; '' when there is none."""
    return headers.get(name) or headers.get(_HANDED_ON + name, "")
