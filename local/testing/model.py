"""The model of a test: it answers what the test says, refuses what the provider would, and counts tokens alike."""

from collections.abc import Callable
from typing import Any

from local.provider.directive import Turn
from local.provider.errors import ApiError
from local.provider.messages import MessagesRequest, parse_request
from local.provider.models import known_models
from local.provider.reply import Reply, natural_tokens, text_part, tool_part
from local.provider.tokens import tokens_of_characters
from local.testing.memory import Journal
from local.testing.replies import Replies, ScriptError, reply, so_far
from shared.pool import Headroom
from shared.sections import DEFAULT_MODEL
from shared.turn import Block
from shared.usage import Usage
from worker.provider import Answer, ModelRequest, ProviderRefused, unheard

_VERSION = "2023-06-01"


class ScriptOver(BaseException):
    """Nobody on the way to the test is to handle it."""


class ScriptedModel:
    """Implements `worker.provider.Provider`. Which answer is due the journal tells: one that was lost in a crash is
    given once more."""

    def __init__(self, replies: Replies, journal: Journal) -> None:
        self._replies = replies
        self._journal = journal
        self.requests: list[ModelRequest] = []
        """All that was asked, what was asked anew after a crash included."""
        self.failed: Exception | None = None
        """What went wrong with the script: for the test, and no failure of the agent."""

    async def stream(
        self,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_headroom: Callable[[Headroom], None],
        on_usage: Callable[[Usage], None] = unheard,
    ) -> Answer:
        checked = _checked(request)
        self.requests.append(request)
        turn = self._journal.turns + 1
        try:
            said = reply(self._replies, turn, request.messages)
            _check_tools(said, turn, request)
            answer = _answer(said, turn, checked)
        except Exception as error:
            self.failed = error
            raise ScriptOver from error
        on_text("".join(block.get("text", "") for block in answer.content))
        return answer

    async def probe(self) -> None:
        """It is always there."""

    async def close(self) -> None:
        """It holds nothing."""


def _checked(request: ModelRequest) -> MessagesRequest:
    body: dict[str, Any] = {"model": DEFAULT_MODEL, "max_tokens": request.max_tokens, "messages": request.messages}
    if request.system:
        body["system"] = request.system
    if request.tools:
        body["tools"] = request.tools
    try:
        return parse_request(body, known_models(()), _VERSION)
    except ApiError as error:
        raise ProviderRefused(error.message, type=error.kind) from error


def _check_tools(said: Turn, turn: int, request: ModelRequest) -> None:
    known = [tool["name"] for tool in request.tools]
    for one in said.tools:
        if one.name not in known:
            raise ScriptError(
                f"Answer {turn} calls {one.name}, and the model has {', '.join(known) or 'no tools'}. "
                f"{so_far(request.messages)}"
            )


def _answer(said: Turn, turn: int, request: MessagesRequest) -> Answer:
    parts = [text_part(said.text)] if said.text else []
    parts += [tool_part(_id(turn, place), one.name, one.input) for place, one in enumerate(said.tools, 1)]
    whole = Reply(
        parts=parts,
        output_tokens=natural_tokens(parts),
        stop_reason=said.stop_reason or ("tool_use" if said.tools else "end_turn"),
        latency=0,
        tokens_per_second=1,
        max_tokens=request.max_tokens,
    )
    usage = Usage(
        input_tokens=tokens_of_characters(request.characters),
        output_tokens=min(whole.output_tokens, request.max_tokens),
    )
    return Answer(_content(whole), whole.final_stop_reason, usage, DEFAULT_MODEL, request_id=None)


def _id(turn: int, place: int) -> str:
    """As long as those of the provider, since they are part of what is paid for."""
    return f"toolu_{turn:012}{place:012}"


def _content(whole: Reply) -> list[Block]:
    """As much of it as max_tokens lets the model say."""
    bodies: list[str] = []
    for piece in whole.pieces(whole.output_tokens):
        bodies += [text for _, text in piece.additions]
    return whole.content(bodies)
