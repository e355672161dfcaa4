"""Where the provider is told to remember a prefix of a prompt: a call that begins with the same is then cheap there.

Four marks at most (https://platform.claude.com/docs/en/build-with-claude/prompt-caching): on the last tool and on the
system prompt, which all jobs of an agent share, and on the last two messages of the user's, which the next turn or the
next job of the session begins with, too. Two, since a mark finds what an earlier call wrote up to 20 blocks back, and a
turn can have more. A mark of the caller's own would count among the four, so it is taken off.
"""

from typing import Any

Block = dict[str, Any]

_MARK = {"cache_control": {"type": "ephemeral"}}
_MARKED_MESSAGES = 2


def on_tools(tools: list[Block]) -> list[Block]:
    return [*tools[:-1], tools[-1] | _MARK]


def on_system(system: str) -> list[Block]:
    return [{"type": "text", "text": system} | _MARK]


def on_messages(messages: list[Block], *, goes_on: bool) -> list[Block]:
    """`goes_on` is whether another call is likely to begin with them: input that is written to the cache costs a
    quarter more than input that is not."""
    marked = [message | {"content": _plain(message["content"])} for message in messages]
    of_user = [index for index, message in enumerate(messages) if message["role"] == "user"]
    for index in of_user[-_MARKED_MESSAGES:] if goes_on else []:
        *others, last = _blocks(marked[index]["content"])
        marked[index] |= {"content": [*others, last | _MARK]}
    return marked


def _blocks(content: str | list[Block]) -> list[Block]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _plain(content: Any) -> Any:
    """Content without marks, inside of tool results, too."""
    if isinstance(content, list):
        return [_plain(block) for block in content]
    if not isinstance(content, dict):
        return content
    kept = {name: value for name, value in content.items() if name != "cache_control"}
    return kept | {"content": _plain(kept["content"])} if "content" in kept else kept
