"""The body of `POST /v1/messages`: read it, and refuse what the real API refuses, in its words where known.

Only client tools, text, images and tool results are known here; thinking and server tools are out of scope.
Source: https://platform.claude.com/docs/en/api/messages and .../api/errors#common-validation-errors
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from local.provider.errors import ApiError, invalid_request, not_found
from local.provider.models import Model
from local.provider.tokens import count_characters
from local.provider.tool_rules import check_tool_choice, check_tool_results, check_tools

Block = dict[str, Any]

_MAX_CACHE_MARKS = 4
_REMOVED_PARAMETERS = ("temperature", "top_p", "top_k")
_REMOVED_IN = "2026-10-21"


@dataclass(slots=True)
class Message:
    """One turn: adjacent messages of the same role are already one, as the real API makes them."""

    role: str
    blocks: list[Block]
    """Content blocks; a plain string is one text block."""
    index: int
    """Place of its first part in the request, for messages about mistakes."""


@dataclass
class MessagesRequest:
    """A request that has passed all checks."""

    model: Model
    max_tokens: int
    stream: bool
    system: list[Block] = field(default_factory=list)
    tools: list[Block] = field(default_factory=list)
    tool_choice: Block = field(default_factory=lambda: {"type": "auto"})
    user: str | None = None
    """`metadata.user_id`."""
    messages: list[Message] = field(default_factory=list)

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Where it stands (tool, system, user, assistant) and the block, in the order of the prompt."""
        yield from (("tool", tool) for tool in self.tools)
        yield from (("system", block) for block in self.system)
        for message in self.messages:
            yield from ((message.role, block) for block in message.blocks)

    @cached_property
    def characters(self) -> int:
        return sum(count_characters(block) for _, block in self.blocks())

    @cached_property
    def cache_marks(self) -> int:
        return sum(1 for _, block in self.blocks() if block.get("cache_control"))


def parse_request(body: Any, models: Mapping[str, Model], version: str) -> MessagesRequest:
    """Raises ApiError 400 or 404. `version` is the anthropic-version header."""
    request = parse_for_count(body, models)
    _check_removed_parameters(body, version)
    request.stream = body.get("stream") is True
    request.max_tokens = _max_tokens(body, request.model)
    request.user = _user(body)
    if request.messages[-1].role == "assistant" and not request.model.prefill:
        raise invalid_request(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    return request


def parse_for_count(body: Any, models: Mapping[str, Model]) -> MessagesRequest:
    """The part of the body that counting tokens needs. Raises ApiError 400 or 404."""
    if not isinstance(body, dict):
        raise invalid_request("Input should be a valid dictionary")
    request = MessagesRequest(
        model=_model(body, models),
        max_tokens=0,
        stream=False,
        system=_content(body.get("system", []), "system"),
        tools=_list_of_objects(body.get("tools", []), "tools"),
        messages=_messages(body),
    )
    check_tools(request.tools)
    request.tool_choice = check_tool_choice(body.get("tool_choice"), request.tools)
    check_tool_results(request.messages)
    _check_text(request)
    _mark_last_block(request, body.get("cache_control"))
    if request.cache_marks > _MAX_CACHE_MARKS:
        raise invalid_request(
            f"A maximum of {_MAX_CACHE_MARKS} blocks with cache_control may be provided. Found {request.cache_marks}."
        )
    return request


def _model(body: Block, models: Mapping[str, Model]) -> Model:
    name = body.get("model")
    if not isinstance(name, str):
        raise _missing_or_wrong(body, "model", "a valid string")
    if name not in models:
        raise not_found(f"model: {name}")
    return models[name]


def _max_tokens(body: Block, model: Model) -> int:
    asked = body.get("max_tokens")
    if not isinstance(asked, int) or isinstance(asked, bool):
        raise _missing_or_wrong(body, "max_tokens", "a valid integer")
    if asked < 1:
        raise invalid_request("max_tokens: Input should be greater than or equal to 1")
    if asked > model.max_tokens:
        raise invalid_request(
            f"max_tokens: {asked} > {model.max_tokens}, which is the maximum allowed number of output tokens "
            f"for {model.id}"
        )
    return asked


def _user(body: Block) -> str | None:
    metadata = body.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise invalid_request("metadata: Input should be an object")
    user = metadata.get("user_id")
    if user is not None and not isinstance(user, str):
        raise invalid_request("metadata.user_id: Input should be a valid string")
    return user


def _messages(body: Block) -> list[Message]:
    if "messages" not in body:
        raise invalid_request("messages: Field required")
    items = _list_of_objects(body["messages"], "messages")
    if not items:
        raise invalid_request("messages: at least one message is required")
    messages: list[Message] = []
    for index, item in enumerate(items):
        message = _message(item, index)
        if messages and messages[-1].role == message.role:
            messages[-1].blocks += message.blocks
        else:
            messages.append(message)
    if messages[0].role != "user":
        raise invalid_request('messages: first message must use the "user" role')
    return messages


def _message(item: Block, index: int) -> Message:
    role = item.get("role")
    if role not in ("user", "assistant"):
        raise invalid_request(f"messages.{index}.role: Input should be 'user' or 'assistant'")
    if "content" not in item:
        raise invalid_request(f"messages.{index}.content: Field required")
    content = item["content"]
    if role == "user" and content in ("", []):
        raise invalid_request(f"messages.{index}: user messages must have non-empty content")
    return Message(role, _content(content, f"messages.{index}.content"), index)


def _content(content: Any, path: str) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    blocks = _list_of_objects(content, path)
    for index, block in enumerate(blocks):
        if not isinstance(block.get("type"), str):
            raise invalid_request(f"{path}.{index}.type: Field required")
        if block["type"] == "text" and not isinstance(block.get("text"), str):
            raise invalid_request(f"{path}.{index}.text.text: Field required")
    return blocks


def _list_of_objects(value: Any, path: str) -> list[Block]:
    if not isinstance(value, list):
        raise invalid_request(f"{path}: Input should be a valid list")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise invalid_request(f"{path}.{index}: Input should be an object")
    return list(value)


def _check_text(request: MessagesRequest) -> None:
    for place, block in request.blocks():
        if place == "tool" or block["type"] != "text":
            continue
        where = "system" if place == "system" else "messages"
        if not block["text"]:
            raise invalid_request(f"{where}: text content blocks must be non-empty")
        if not block["text"].strip():
            raise invalid_request(f"{where}: text content blocks must contain non-whitespace text")


def _check_removed_parameters(body: Block, version: str) -> None:
    if version < _REMOVED_IN:
        return
    for name in _REMOVED_PARAMETERS:
        if name in body:
            raise invalid_request(f"{name}: this parameter was removed in API version {_REMOVED_IN}")


def _mark_last_block(request: MessagesRequest, mark: Any) -> None:
    """A `cache_control` of the whole request is a mark on its last block."""
    blocks = request.messages[-1].blocks
    if mark and blocks:
        blocks[-1] = {**blocks[-1], "cache_control": mark}


def _missing_or_wrong(body: Block, name: str, wanted: str) -> ApiError:
    return invalid_request(f"{name}: " + (f"Input should be {wanted}" if name in body else "Field required"))
