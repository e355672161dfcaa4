"""Counting tokens: the same text always gives the same count, about one token for four characters."""

from typing import Any

CHARACTERS_PER_TOKEN = 4
_IMAGE_CHARACTERS = 1_500 * CHARACTERS_PER_TOKEN


def count_tokens(value: Any) -> int:
    """Tokens of a text or of any JSON value, rounded up."""
    return tokens_of_characters(count_characters(value))


def tokens_of_characters(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def count_characters(value: Any) -> int:
    """Characters of everything in a JSON value, keys included; of a text block the text alone."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        if value.get("type") == "image":
            return _IMAGE_CHARACTERS
        if value.get("type") == "text" and isinstance(value.get("text"), str):
            return len(value["text"])
        return sum(len(key) + count_characters(item) for key, item in value.items() if key != "cache_control")
    if isinstance(value, list):
        return sum(map(count_characters, value))
    return len(str(value))
