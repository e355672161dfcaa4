"""Prompts that tell the simulated provider what to say (docs/simulated-provider.md)."""

import itertools
import json
from typing import Any

_numbers = itertools.count(1)


def scripted(**directive: Any) -> str:
    """A prompt of its own (the provider tells conversations apart by it) that carries this directive."""
    return f"Test conversation {next(_numbers)}. <sim>{json.dumps(directive)}</sim>"


def conversation(calls: list[dict[str, Any]], prompt: str) -> list[dict[str, Any]]:
    """The calls of the provider's ledger that belong to this prompt, oldest first."""
    return [call for call in calls if call["conversation"] == prompt[:200]]
