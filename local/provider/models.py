"""The models that are known, and how the models endpoints describe them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    display_name: str
    line: str | None
    created_at: str
    max_input_tokens: int
    max_tokens: int
    """The largest `max_tokens` a request may ask for."""
    prefill: bool
    """Whether the last message may be the assistant's, for the model to go on from."""


MODELS = (  # the newest first, as the list endpoint gives them
    Model("claude-sonnet-4-6", "Claude Sonnet 4.6", "sonnet", "2026-02-17T00:00:00Z", 1_000_000, 64_000, False),
    Model("claude-opus-4-6", "Claude Opus 4.6", "opus", "2026-02-04T00:00:00Z", 1_000_000, 128_000, False),
    Model("claude-haiku-4-5", "Claude Haiku 4.5", "haiku", "2025-10-15T00:00:00Z", 200_000, 64_000, True),
)


def known_models(more: Iterable[str]) -> dict[str, Model]:
    """The table above and these further names, by id."""
    added = [Model(name, name, None, "1970-01-01T00:00:00Z", 1_000_000, 128_000, True) for name in more]
    return {model.id: model for model in (*MODELS, *added)}


def describe(model: Model) -> dict[str, Any]:
    """The body of `GET /v1/models/{id}`."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "line": model.line,
        "created_at": model.created_at,
        "deprecated_at": None,
        "retires_at": None,
        "lifecycle": "active",
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_tokens,
        "capabilities": _CAPABILITIES,
    }


_NO = {"supported": False}
_YES = {"supported": True}

# What the simulation can do, not what the model of that name can.
_CAPABILITIES = {
    "batch": _NO,
    "citations": _NO,
    "code_execution": _NO,
    "context_management": _NO,
    "effort": {"supported": False, "low": _NO, "medium": _NO, "high": _NO, "max": _NO},
    "image_input": _NO,
    "pdf_input": _NO,
    "server_tools": {"supported": False, "code_execution": _NO, "web_search": _NO},
    "structured_outputs": _NO,
    "thinking": {
        "supported": False,
        "types": {"adaptive": _NO, "between_tools": _NO, "disabled": _YES, "enabled": _NO},
    },
}
