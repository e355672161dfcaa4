"""The rules of tool use: how tools are declared, and that each call has its one result right after it."""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from local.provider.errors import invalid_request

_NAME_PATTERN = "^[a-zA-Z0-9_-]{1,128}$"
_NAME = re.compile(_NAME_PATTERN)

Block = dict[str, Any]


class _Message(Protocol):
    role: str
    blocks: list[Block]
    index: int


def check_tools(tools: Sequence[Block]) -> None:
    """Names and schemas of client tools. Raises ApiError 400."""
    for index, tool in enumerate(tools):
        _check_tool(tool, f"tools.{index}.custom")
    if len({tool["name"] for tool in tools}) != len(tools):
        raise invalid_request("tools: Tool names must be unique.")


def check_tool_choice(choice: Any, tools: Sequence[Block]) -> Block:
    """The choice, `{"type": "auto"}` when there is none. Raises ApiError 400."""
    if choice is None:
        return {"type": "auto"}
    if not isinstance(choice, dict) or choice.get("type") not in ("auto", "any", "tool", "none"):
        raise invalid_request("tool_choice: Input should have a `type` of 'auto', 'any', 'tool' or 'none'")
    if not tools and choice["type"] != "none":
        raise invalid_request("tool_choice: tool_choice may only be specified while providing tools.")
    if choice["type"] == "tool" and choice.get("name") not in {tool["name"] for tool in tools}:
        raise invalid_request(f"tool_choice: Tool '{choice.get('name')}' not found in provided tools")
    return choice


def check_tool_results(messages: Sequence[_Message]) -> None:
    """Each `tool_use` has one `tool_result` at the start of the next message, and no result stands alone."""
    calls: list[str] = []
    seen: set[str] = set()
    for message in messages:
        _check_results(message, calls)
        calls = _calls(message, seen)
    if calls:
        raise _no_result(messages[-1].index, calls)


def _check_tool(tool: Block, path: str) -> None:
    if tool.get("type", "custom") not in ("custom", None):
        raise invalid_request(f"{path}.type: the simulated provider only knows client tools")
    name, schema = tool.get("name"), tool.get("input_schema")
    if not isinstance(name, str):
        raise invalid_request(f"{path}.name: Field required")
    if not _NAME.fullmatch(name):
        raise invalid_request(f"{path}.name: String should match pattern '{_NAME_PATTERN}'")
    if not isinstance(schema, dict):
        raise invalid_request(f"{path}.input_schema: Field required")
    if schema.get("type") != "object":
        raise invalid_request(f"{path}.input_schema.type: Input should be 'object'")


def _check_results(message: _Message, calls: Sequence[str]) -> None:
    leading = _leading_results(message)
    for index, block in enumerate(message.blocks):
        if block["type"] == "tool_result" and block.get("tool_use_id") not in calls:
            raise invalid_request(
                f"messages.{message.index}.content.{index}: unexpected `tool_use_id` found in `tool_result` "
                f"blocks: {block.get('tool_use_id')}. Each `tool_result` block must have a corresponding "
                "`tool_use` block in the previous message."
            )
    missing = [call for call in calls if call not in leading]
    if missing:
        raise _no_result(message.index - 1, missing)
    for call in leading:
        if leading.count(call) > 1:
            raise invalid_request(
                f"messages.{message.index}: each tool_use must have a single result. "
                f"Found multiple `tool_result` blocks with id: {call}"
            )


def _leading_results(message: _Message) -> list[str]:
    """Ids of the results before any other block."""
    ids: list[str] = []
    for block in message.blocks:
        if block["type"] != "tool_result":
            break
        ids.append(str(block.get("tool_use_id")))
    return ids


def _calls(message: _Message, seen: set[str]) -> list[str]:
    """Ids of the tool calls in a message, which must not have been used before."""
    ids: list[str] = []
    for index, block in enumerate(message.blocks):
        if block["type"] != "tool_use":
            continue
        path = f"messages.{message.index}.content.{index}"
        if message.role != "assistant":
            raise invalid_request(f"{path}: `tool_use` blocks can only be in `assistant` messages")
        if not isinstance(block.get("id"), str) or not isinstance(block.get("input"), dict):
            raise invalid_request(f"{path}.tool_use: `id`, `name` and `input` are required")
        if block["id"] in seen:
            raise invalid_request(f"{path}: `tool_use` ids must be unique")
        seen.add(block["id"])
        ids.append(block["id"])
    return ids


def _no_result(index: int, ids: Sequence[str]) -> Exception:
    return invalid_request(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(ids)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
        "message."
    )
