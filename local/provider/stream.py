"""An answer as server-sent events, in the order in which the SDK puts a message together.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

import json
from collections.abc import Mapping
from typing import Any

from local.provider.errors import ApiError
from local.provider.reply import Piece, Reply


class EventEncoder:
    """Bytes for each moment of one answer: `start`, then `piece` for each piece, then `end`."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._open = -1  # the content block that was started last

    def start(self, message: Mapping[str, Any]) -> bytes:
        """`message` is the answer with no content yet."""
        return event("message_start", message=message) + event("ping")

    def piece(self, piece: Piece) -> bytes:
        return b"".join(self._addition(index, text) for index, text in piece.additions)

    def end(self, delta: Mapping[str, Any], usage: Mapping[str, int]) -> bytes:
        """`usage` holds the totals of the whole answer."""
        return self._stop_block() + event("message_delta", delta=delta, usage=usage) + event("message_stop")

    def _addition(self, index: int, text: str) -> bytes:
        part = self._reply.parts[index]
        opening = self._start_block(index) if index != self._open else b""
        if part.is_text:
            delta = {"type": "text_delta", "text": text}
        else:
            delta = {"type": "input_json_delta", "partial_json": text}
        return opening + event("content_block_delta", index=index, delta=delta)

    def _start_block(self, index: int) -> bytes:
        closing = self._stop_block()
        self._open = index
        return closing + event("content_block_start", index=index, content_block=self._reply.parts[index].head)

    def _stop_block(self) -> bytes:
        return event("content_block_stop", index=self._open) if self._open >= 0 else b""


def event(name: str, **data: Any) -> bytes:
    """One event; its type is repeated in its data."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def error_event(error: ApiError, request_id: str) -> bytes:
    """An error after the status 200 has gone out."""
    return f"event: error\ndata: {json.dumps(error.body(request_id))}\n\n".encode()


MALFORMED_EVENT = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "del\n\n'
