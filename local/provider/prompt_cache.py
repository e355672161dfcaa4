"""Prompt caching in its simple form: a prefix up to a `cache_control` mark is cheap when it comes again.

A mark finds an earlier entry up to 20 blocks back, as the real one does, so a mark that moves along with a
growing conversation reads what the previous call wrote. Unlike the real one there is no least length.
Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from local.provider.clock import Now
from local.provider.messages import MessagesRequest
from local.provider.tokens import count_characters, tokens_of_characters

_LIFETIMES = {"5m": 300.0, "1h": 3600.0}
_LOOK_BACK = 20
_MAX_ENTRIES = 50_000


@dataclass(frozen=True, slots=True)
class InputUsage:
    """Tokens of one request: read from the cache, written to it, and the rest."""

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0

    @property
    def counted(self) -> int:
        """What counts against the input limit: everything but cache reads."""
        return self.input_tokens + self.cache_creation_input_tokens


@dataclass(frozen=True, slots=True)
class _Prefix:
    key: bytes
    tokens: int
    lifetime: float | None
    """Seconds; None when no mark stands here."""


class PromptCache:
    """Prefixes written, each with its end of life. `now` is a steady clock in seconds."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._ends: dict[bytes, float] = {}

    def usage(self, request: MessagesRequest) -> InputUsage:
        """What this request would read and write; changes nothing."""
        total = tokens_of_characters(request.characters)
        prefixes = _prefixes(request)
        marks = [index for index, prefix in enumerate(prefixes) if prefix.lifetime]
        if not marks:
            return InputUsage(total)
        read = self._longest_hit(prefixes, marks)
        written = prefixes[marks[-1]].tokens
        return InputUsage(total - max(read, written), max(0, written - read), read)

    def store(self, request: MessagesRequest) -> None:
        """Write the prefixes at the marks, or renew them."""
        now = self._now()
        for prefix in _prefixes(request):
            if prefix.lifetime:
                self._ends[prefix.key] = now + prefix.lifetime
        if len(self._ends) > _MAX_ENTRIES:
            self._ends = {key: end for key, end in self._ends.items() if end > now}

    def clear(self) -> None:
        self._ends.clear()

    def _longest_hit(self, prefixes: list[_Prefix], marks: list[int]) -> int:
        """Tokens of the longest prefix that is in the cache and within reach of a mark."""
        now = self._now()
        reach = {index for mark in marks for index in range(max(0, mark - _LOOK_BACK), mark + 1)}
        hits = (prefixes[index].tokens for index in reach if self._ends.get(prefixes[index].key, 0) > now)
        return max(hits, default=0)


def _prefixes(request: MessagesRequest) -> list[_Prefix]:
    """The prefix up to and including each block, in the order tools, system, messages; [] without a mark."""
    if not request.cache_marks:
        return []
    digest = hashlib.sha256(request.model.id.encode())
    characters = 0
    prefixes = []
    for place, block in request.blocks():
        digest.update(json.dumps([place, _without_mark(block)], sort_keys=True).encode())
        characters += count_characters(block)
        mark = block.get("cache_control")
        lifetime = _LIFETIMES.get(mark.get("ttl", "5m"), 300.0) if isinstance(mark, dict) else None
        prefixes.append(_Prefix(digest.digest(), tokens_of_characters(characters), lifetime))
    return prefixes


def _without_mark(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "cache_control"}
