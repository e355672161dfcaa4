"""What a tool of an MCP server answered, as text for the model."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json


def as_text(content: Sequence[Any], structured: Any) -> str:
    """Of content blocks in the order they came. Structured content counts where there is no text: the protocol asks a
    server that has both to say the same in both. Pictures and sound are named, not shown."""
    said = [_block(block) for block in content]
    if structured is not None and not any(block.type == "text" for block in content):
        said.insert(0, to_json(structured, serialize_unknown=True).decode())
    return "\n".join(said)


def _block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type} of type {block.mime_type}, {_bytes(block.data)} bytes, not shown]"
        case "resource_link":
            return f"[resource {block.name}: {block.uri}]"
        case "resource":
            return _resource(block.resource)
        case kind:
            return f"[{kind}, not shown]"


def _resource(resource: Any) -> str:
    text = getattr(resource, "text", None)
    if text is not None:
        return f"[resource {resource.uri}]\n{text}"
    return f"[resource {resource.uri} of type {resource.mime_type}, {_bytes(resource.blob)} bytes, not shown]"


def _bytes(base64: str) -> str:
    return f"{len(base64.rstrip('=')) * 3 // 4:,}"
