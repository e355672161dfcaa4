"""What a test lets the model answer, turn by turn.

A reply is a turn of the simulated provider's scripts (docs/simulated-provider.md), so the same script can be played to
a whole stack.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from local.provider.directive import StopReason, ToolCall, Turn

Messages = list[dict[str, Any]]
"""As the Messages API takes them."""
Reply = Turn | Sequence[Turn]
"""One answer; several parts, such as two tool calls, are one answer, too."""
Replies = Sequence[Reply | Callable[[Messages], Reply]] | Callable[[Messages], Reply]
"""The answers one by one, or a function that makes each of them out of what the model is sent; or both, mixed."""


class ScriptError(AssertionError):
    """The test does not say what happens now, or says what cannot happen."""


def say(text: str, *, stop_reason: StopReason | None = None) -> Turn:
    """The model says this. `stop_reason` is for what is no ordinary end: "max_tokens", "refusal", "pause_turn"."""
    return Turn(text=text, stop_reason=stop_reason)


def call(tool: str, /, **input: Any) -> Turn:
    """The model calls this tool with this input, which need not fit it."""
    return Turn(tools=[ToolCall(name=tool, input=input)])


def reply(replies: Replies, turn: int, messages: Messages) -> Turn:
    """The answer of this turn, the first of which is 1. Raises ScriptError."""
    if callable(replies):
        made: Reply | Callable[[Messages], Reply] = replies
    elif turn <= len(replies):
        made = replies[turn - 1]
    else:
        known = "1 reply" if len(replies) == 1 else f"{len(replies)} replies"
        raise ScriptError(f"The model is asked for answer {turn}, and the test has {known}. {so_far(messages)}")
    if callable(made):
        made = made(messages)
    parts = [made] if isinstance(made, Turn) else list(made or ())
    strange = [part for part in parts if not isinstance(part, Turn)]
    if strange or not parts:
        raise ScriptError(f"Answer {turn} must be made with say(…) and call(…), not {made!r}. {so_far(messages)}")
    return Turn(
        text="".join(part.text or "" for part in parts),
        tools=[one for part in parts for one in part.tools],
        stop_reason=next((part.stop_reason for part in parts if part.stop_reason), None),
    )


def so_far(messages: Sequence[Mapping[str, Any]]) -> str:
    """The conversation as a person reads it."""
    names: dict[str, str] = {}
    lines = [line for message in messages for line in _lines(message, names)]
    return "\n".join(["The conversation so far:", *lines])


def _lines(message: Mapping[str, Any], names: dict[str, str]) -> Iterator[str]:
    """`names` are those of the tools by the ids of their calls."""
    content = message["content"]
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        match block["type"]:
            case "text":
                yield f"  {message['role']}: {block['text']}"
            case "tool_use":
                names[block["id"]] = block["name"]
                yield f"  assistant calls {block['name']} {json.dumps(block['input'], ensure_ascii=False)}"
            case "tool_result":
                said = "fails" if block.get("is_error") else "answers"
                yield f"  {names.get(block['tool_use_id'], 'a tool')} {said}: {block.get('content', '')}"
            case other:
                yield f"  {message['role']}: [{other}]"
