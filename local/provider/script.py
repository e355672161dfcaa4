"""What the model says next: by the directive that governs the conversation, else made up.

The same seed and the same conversation always give the same answer, so a repeated call is answered alike.
"""

import hashlib
from dataclasses import dataclass

from local.provider.conversation import Conversation, read_conversation
from local.provider.directive import Directive, ToolCall, Turn, read_directive
from local.provider.errors import invalid_request
from local.provider.faults import StepFault
from local.provider.improvise import answer, filler, improvise, tool_input
from local.provider.messages import MessagesRequest
from local.provider.reply import Reply, natural_tokens, text_part, tool_part
from local.provider.settings import Settings

_REFUSAL = "I can't help with that request."
_NOTHING_LEFT = "That is all there is to do."


@dataclass(frozen=True, slots=True)
class Scripted:
    """A reply, and what is needed to decide its fault."""

    reply: Reply
    fault: StepFault
    conversation: Conversation
    step: int
    user: str | None
    """Whom the directive names as the user."""


def next_reply(request: MessagesRequest, settings: Settings) -> Scripted:
    """Raises ApiError 400 when the directive is broken."""
    conversation = read_conversation(request.messages)
    governing = conversation.directive
    directive = read_directive(governing.text) if governing else Directive()
    user = directive.user
    step = governing.step if governing else conversation.question.step
    turn = _scripted_turn(directive, request, conversation, settings.seed) if governing else None
    if turn is None:
        directive = Directive()
        turn = improvise(request, conversation, settings.seed)
    salt = f"{settings.seed}:{conversation.key}:{len(request.messages)}"
    reply = _reply(turn, directive, request, settings, conversation, salt)
    return Scripted(reply, turn if turn.fault else directive, conversation, step, user)


def _scripted_turn(
    directive: Directive, request: MessagesRequest, conversation: Conversation, seed: int
) -> Turn | None:
    """The turn that the directive has for this step; None when it has run out and something new was asked."""
    assert conversation.directive is not None  # noqa: S101 - the caller looked
    step, text = conversation.directive.step, conversation.directive.text
    if directive.refuse:
        return Turn(text=_REFUSAL, stop_reason="refusal")
    if directive.loop is not None:
        arguments = tool_input(request, directive.loop, text, f"{seed}:{conversation.key}")
        return Turn(tools=[ToolCall(name=directive.loop, input=arguments)])
    if isinstance(directive.turns, int) and step < directive.turns - 1:
        name = directive.tool or _first_tool(request)
        arguments = tool_input(request, name, text, f"{seed}:{conversation.key}:{step}")
        return Turn(tools=[ToolCall(name=name, input=arguments)])
    script, step = _turns_left(directive, step)
    if step < len(script):
        return script[step]
    if script[-1].tools:
        return script[-1]
    if conversation.question.position > conversation.directive.position:
        return None
    return Turn(text=_NOTHING_LEFT)


def _turns_left(directive: Directive, step: int) -> tuple[list[Turn], int]:
    """The turns still written down, and the place of this step among them."""
    if isinstance(directive.turns, list):
        return directive.turns, step
    return [Turn()], step - ((directive.turns or 1) - 1)


def _first_tool(request: MessagesRequest) -> str:
    if not request.tools:
        raise invalid_request("sim directive: turns: the request offers no tool to call")
    return str(request.tools[0]["name"])


def _reply(
    turn: Turn,
    directive: Directive,
    request: MessagesRequest,
    settings: Settings,
    conversation: Conversation,
    salt: str,
) -> Reply:
    output_tokens = turn.output_tokens or directive.output_tokens
    parts = [tool_part(_call_id(salt, index), call.name, call.input) for index, call in enumerate(turn.tools)]
    text = turn.text
    if text is None and not parts:
        text = filler(output_tokens, salt) if output_tokens else answer(request, conversation, salt)
    if text:
        parts.insert(0, text_part(text))
    return Reply(
        parts=parts,
        output_tokens=output_tokens or natural_tokens(parts),
        stop_reason=turn.stop_reason or ("tool_use" if turn.tools else "end_turn"),
        latency=_first(turn.latency, directive.latency, settings.latency),
        tokens_per_second=_first(turn.tokens_per_second, directive.tokens_per_second, settings.tokens_per_second),
        max_tokens=request.max_tokens,
    )


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _call_id(salt: str, index: int) -> str:
    """Unique in its conversation, as the number of messages is part of the salt."""
    return "toolu_" + hashlib.sha256(f"{salt}:{index}".encode()).hexdigest()[:24]
