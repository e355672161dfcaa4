"""How many input tokens a call can come to, before it is made.

What the provider has counted is exact: the last call of the conversation, whose input and answer are part of the next
one's. Only what came since, and a conversation that the target has not seen, is estimated, from bytes. So a wrong
estimate is set right by the next turn, and does not add up.
"""

import json
from typing import Any

from shared.turn import ModelRecord
from worker.provider import ModelRequest, weighed

_TOKENS_PER_BYTE = 0.5
"""In UTF-8. Prose has about 0.25 in English and 0.45 in Chinese or Hindi, code and JSON 0.35; only what is no language,
such as Base64, has more."""
_TOOL_USE_TOKENS = 500
"""What the provider itself says to the model when there are tools: about 350."""


def input_at_most(request: ModelRequest, last: ModelRecord | None) -> int:
    """Tokens of the request. `last` is the call that the target has served last in this conversation, if it was the
    conversation's last."""
    if last is None:
        given = [request.system, request.tools, weighed(request.messages)]
        return _tokens(given) + (_TOOL_USE_TOKENS if request.tools else 0)
    return last.usage.total_tokens + _tokens(weighed(_since_answer(request.messages)))


def _since_answer(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What came after the model's last answer."""
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    return messages[answers[-1] + 1 :] if answers else messages


def _tokens(content: Any) -> int:
    return int(len(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")) * _TOKENS_PER_BYTE) + 1
