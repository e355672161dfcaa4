"""What the model is about to say, and how it is cut into pieces as it is produced."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.provider.tokens import tokens_of_characters


@dataclass(frozen=True, slots=True)
class Part:
    """A content block: its head, as `content_block_start` shows it, and its body, as the deltas bring it."""

    head: dict[str, Any]
    body: str
    """The text, or the JSON of a tool call's input."""

    @property
    def is_text(self) -> bool:
        return bool(self.head["type"] == "text")

    def block(self, body: str) -> dict[str, Any]:
        """The whole content block with as much of the body as was produced; a cut tool input becomes `{}`."""
        if self.is_text:
            return {**self.head, "text": body}
        return {**self.head, "input": json.loads(body) if body == self.body else {}}


def text_part(text: str) -> Part:
    return Part({"type": "text", "text": ""}, text)


def tool_part(call_id: str, name: str, arguments: dict[str, Any]) -> Part:
    return Part({"type": "tool_use", "id": call_id, "name": name, "input": {}}, json.dumps(arguments))


@dataclass(frozen=True, slots=True)
class Piece:
    """Some output tokens, and what they add: (number of the part, text) in order."""

    tokens: int
    additions: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. Its tokens are spread evenly over its characters, whatever their numbers."""

    parts: list[Part]
    output_tokens: int
    stop_reason: str
    latency: float
    """Seconds to the first token."""
    tokens_per_second: float
    max_tokens: int

    @property
    def is_cut(self) -> bool:
        return self.output_tokens > self.max_tokens

    @property
    def final_stop_reason(self) -> str:
        return "max_tokens" if self.is_cut else self.stop_reason

    def pieces(self, tokens_per_piece: int) -> Iterator[Piece]:
        """The answer up to max_tokens."""
        produced, end = 0, min(self.output_tokens, self.max_tokens)
        position = 0
        while produced < end:
            tokens = min(tokens_per_piece, end - produced)
            produced += tokens
            upto = self._characters() * produced // self.output_tokens
            yield Piece(tokens, self._slice(position, upto))
            position = upto

    def content(self, produced: list[str]) -> list[dict[str, Any]]:
        """Content blocks from the bodies produced so far, one text for each part that was begun."""
        return [part.block(body) for part, body in zip(self.parts, produced, strict=False)]

    def _characters(self) -> int:
        return sum(len(part.body) for part in self.parts)

    def _slice(self, start: int, stop: int) -> list[tuple[int, str]]:
        additions = []
        offset = 0
        for index, part in enumerate(self.parts):
            text = part.body[max(0, start - offset) : max(0, stop - offset)]
            if text:
                additions.append((index, text))
            offset += len(part.body)
        return additions


def natural_tokens(parts: list[Part]) -> int:
    """Output tokens of these parts when nothing else is asked for; never zero."""
    return max(1, tokens_of_characters(sum(len(part.body) for part in parts)))
