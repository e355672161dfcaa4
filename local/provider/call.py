"""One call of the model, from the parsed body to the last byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from secrets import token_hex
from typing import Any

from starlette.types import Scope, Send

from local.provider.clock import monotonic
from local.provider.connection import cut
from local.provider.errors import ApiError, overloaded
from local.provider.faults import MID_STREAM, SLOWER, Fault
from local.provider.ledger import Call
from local.provider.messages import MessagesRequest
from local.provider.prompt_cache import InputUsage
from local.provider.reply import Piece, Reply
from local.provider.state import State
from local.provider.stream import MALFORMED_EVENT, EventEncoder, error_event

_SHORTEST_PIECE = 0.05
_PIECES_PER_SECOND = 4_000
"""What one process sends without falling behind: with more calls in flight the pieces grow longer."""


@dataclass(slots=True)
class ModelCall:
    """An admitted call: produces its answer at the model's speed and debits output as it goes."""

    state: State
    request: MessagesRequest
    reply: Reply
    fault: Fault | None
    input_usage: InputUsage
    record: Call
    headers: Mapping[str, str]
    scope: Scope
    send: Send

    async def run(self) -> None:
        if self._kind in ("drop", "hang"):
            return await self._fail()
        if self.request.stream:
            await self._stream()
        else:
            await self._plain()

    @property
    def _kind(self) -> str | None:
        return self.fault.fault if self.fault else None

    async def _stream(self) -> None:
        encoder = EventEncoder(self.reply)
        await self._wait_for_first_token()
        await self._send_head(200, {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"})
        await self._send_body(encoder.start(self._message([], None, output_tokens=1)))
        async for piece in self._pieces():
            await self._send_body(encoder.piece(piece))
            if self._fails_now():
                return await self._fail()
        usage = self._usage(self.record.usage["output_tokens"])
        self.record.stop_reason = self.reply.final_stop_reason
        await self._send_body(encoder.end(self._ending(), usage), more=False)
        self.record.completed = True

    async def _plain(self) -> None:
        await self._wait_for_first_token()
        bodies: list[str] = []
        async for piece in self._pieces():
            for index, text in piece.additions:
                bodies += [""] * (index + 1 - len(bodies))
                bodies[index] += text
        message = self._message(
            self.reply.content(bodies),
            self.reply.final_stop_reason,
            output_tokens=self.record.usage["output_tokens"],
        )
        body = json.dumps(message).encode()
        if self._kind in MID_STREAM:
            return await self._fail_plain(body)
        self.record.stop_reason = self.reply.final_stop_reason
        await self._send_head(200, {"content-type": "application/json", "content-length": str(len(body))})
        await self._send_body(body, more=False)
        self.record.completed = True

    async def _pieces(self) -> AsyncIterator[Piece]:
        """Each piece at the moment when its last token is out; its tokens are debited right before."""
        speed = self.reply.tokens_per_second / (SLOWER if self._kind == "slow" else 1)
        interval = max(_SHORTEST_PIECE, self.state.ledger.in_flight / _PIECES_PER_SECOND)
        started, produced = monotonic(), 0
        for piece in self.reply.pieces(max(1, int(speed * interval))):
            produced += piece.tokens
            await asyncio.sleep(max(0.0, started + produced / speed - monotonic()))
            self.state.produce(self.request.model.id, self.record.user, piece.tokens)
            self.record.usage["output_tokens"] += piece.tokens
            yield piece

    async def _wait_for_first_token(self) -> None:
        await asyncio.sleep(self.reply.latency * (SLOWER if self._kind == "slow" else 1))

    def _fails_now(self) -> bool:
        """A fault in mid-stream strikes when half of the answer is out."""
        end = min(self.reply.output_tokens, self.reply.max_tokens)
        return self._kind in MID_STREAM and self.record.usage["output_tokens"] * 2 >= end

    async def _fail(self) -> None:
        """Break off, in the way that the fault says."""
        match self._kind:
            case "drop" | "drop_mid":
                cut(self.scope)
            case "overload_mid":
                await self._send_body(error_event(overloaded(), self.record.request_id), more=False)
            case "malformed":
                await self._send_body(MALFORMED_EVENT, more=False)
            case "hang" | "hang_mid":
                await asyncio.Event().wait()  # until the client is gone, which cancels this call

    async def _fail_plain(self, body: bytes) -> None:
        """The faults in mid-stream, for an answer in one piece: half of the body."""
        half = body[: len(body) // 2]
        length = len(half) if self._kind == "malformed" else len(body)
        await self._send_head(200, {"content-type": "application/json", "content-length": str(length)})
        await self._send_body(half, more=self._kind != "malformed")
        if self._kind != "malformed":
            await self._fail()

    def _message(self, content: list[Any], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
        ending = self._ending() if stop_reason else {"stop_reason": None, "stop_sequence": None}
        return {
            "id": f"msg_{token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": self.request.model.id,
            "content": content,
            **ending,
            "usage": {**self._usage(output_tokens), "service_tier": "standard"},
        }

    def _ending(self) -> dict[str, Any]:
        reason = self.reply.final_stop_reason
        ending: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None}
        if reason == "refusal":
            ending["stop_details"] = {"type": "refusal", "category": None, "explanation": "Scripted refusal."}
        return ending

    def _usage(self, output_tokens: int) -> dict[str, int]:
        return {**asdict(self.input_usage), "output_tokens": output_tokens}

    async def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.record.status = status
        await send_head(self.send, status, {**headers, **self.headers})

    async def _send_body(self, body: bytes, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})


async def send_head(send: Send, status: int, headers: Mapping[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_error(send: Send, error: ApiError, request_id: str, headers: Mapping[str, str]) -> None:
    body = json.dumps(error.body(request_id)).encode()
    length = {"content-type": "application/json", "content-length": str(len(body))}
    await send_head(send, error.status, {**length, **headers, **error.headers})
    await send({"type": "http.response.body", "body": body})
