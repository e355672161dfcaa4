"""Running one tool call: arguments checked, time limited, whatever happens turned into words for the model."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from shared import clock, log, metrics
from shared.turn import ToolCall
from worker import foreign
from worker.tools import Tool, ToolContext, ToolFailed, Unanswered

logger = log.get(__name__)

MAX_OUTPUT_BYTES = 30_000
"""Of what one call tells the model, in UTF-8: about 8,000 tokens of English, 13,000 of Chinese. It is paid for again in
every turn that follows, so a tool that has more to say should let the model ask for parts of it."""
MOST_CALLS = 32
"""Tool calls of one turn that are run. A model that asks for more at once has lost its way, and their results together
would not fit its context."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What the model is told of a call."""

    content: str
    is_error: bool
    milliseconds: int = 0
    unknown: bool = False
    """It must not run twice and has not answered in time: it may have happened."""


def refusal(tools: Mapping[str, Tool], call: ToolCall) -> ToolOutcome | None:
    """Why this call must not be run at all, if so."""
    if call.place >= MOST_CALLS:
        return ToolOutcome(f"Not run: only the first {MOST_CALLS} calls of a turn are. Ask again.", is_error=True)
    tool = tools.get(call.name)
    if tool is None:
        known = ", ".join(tools) or "none"
        return ToolOutcome(f"There is no tool {call.name}; there are: {known}.", is_error=True)
    arguments = _arguments(tool, call)
    return arguments if isinstance(arguments, ToolOutcome) else None


def needs_approval(tool: Tool, call: ToolCall) -> bool:
    """Of a call that fits. A rule that fails has not said that the call may run."""
    try:
        return tool.needs_approval(tool.arguments(call.input))
    except BaseException as error:  # sys.exit in it, too
        logger.warning("approval_rule_failed", tool=tool.name, error=type(error).__name__)
        return True


def fits(tools: Mapping[str, Tool], call: ToolCall) -> bool:
    """Whether the call names a tool there is, with arguments that it takes."""
    return call.name in tools and not isinstance(_arguments(tools[call.name], call), ToolOutcome)


async def run_tool(tool: Tool, call: ToolCall, context: ToolContext) -> ToolOutcome:
    """Runs the call once. Never raises for what the tool does: a failing tool is an answer to the model."""
    started = clock.monotonic()
    outcome = await _run(tool, call, context)
    seconds = clock.monotonic() - started
    metrics.TOOL_SECONDS.labels(tool.name, "error" if outcome.is_error else "ok").observe(seconds)
    return replace(outcome, milliseconds=int(seconds * 1000))


async def verify(tool: Tool, call: ToolCall, idempotency_key: str) -> bool | str | None:
    """Whether the call has happened, as far as the tool's `verify` can tell: see `worker.tools.Verify`."""
    if tool.verify is None:
        return None
    arguments = _arguments(tool, call)
    if isinstance(arguments, ToolOutcome):
        return None
    given = arguments | {"idempotency_key": idempotency_key}
    wanted = {name: given[name] for name in inspect.signature(tool.verify).parameters}
    said = await foreign.ask(tool.verify, wanted, tool.timeout, about=tool.name)
    return cut(said) if isinstance(said, str) else said if isinstance(said, bool) else None


async def _run(tool: Tool, call: ToolCall, context: ToolContext) -> ToolOutcome:
    arguments = _arguments(tool, call)
    if isinstance(arguments, ToolOutcome):
        return arguments
    try:
        return _told(tool, await foreign.call(tool.bound(arguments, context), tool.timeout))
    except Unanswered as error:
        return _unanswered(tool, str(error))
    except foreign.TookTooLong:
        return _unanswered(tool, f"The tool did not answer within {tool.timeout:g} seconds.")
    except ToolFailed as error:
        return ToolOutcome(cut(str(error)), is_error=True)
    except Exception as error:
        logger.warning("tool_failed", tool=tool.name, error=type(error).__name__, where=foreign.last_line(error))
        said = f"The tool failed: {error}" if isinstance(error, foreign.Escaped) else f"{type(error).__name__}: {error}"
        return ToolOutcome(cut(said), is_error=True)


def _unanswered(tool: Tool, said: str) -> ToolOutcome:
    return ToolOutcome(said, is_error=True, unknown=not tool.effect.repeatable)


def _arguments(tool: Tool, call: ToolCall) -> dict[str, Any] | ToolOutcome:
    """The call's input as the function takes it, or what the model is told of one that does not fit."""
    try:
        return tool.arguments(call.input)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        complaint = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'input'}: {one['msg']}" for one in found)
    except BaseException as error:  # a validator of the author's own, whatever it raises
        complaint = f"{type(error).__name__}: {error}"
    return ToolOutcome(f"The input does not fit the tool: {complaint}.", is_error=True)


def _told(tool: Tool, result: object) -> ToolOutcome:
    if isinstance(result, str):
        return ToolOutcome(cut(result), is_error=False)
    try:
        return ToolOutcome(cut(to_json(result, serialize_unknown=True).decode()), is_error=False)
    except Exception as error:
        logger.warning("tool_result_unreadable", tool=tool.name, error=type(error).__name__)
        said = f"It has run, but what it returned is no text and no JSON: {type(error).__name__}: {error}"
        return ToolOutcome(cut(said), is_error=True)


def cut(text: str) -> str:
    """No more than fits, never with half of a character, and with a note, as what is left of JSON is none any more."""
    whole = text.encode("utf-8", "replace")  # half of a surrogate pair, such as in a strange file name
    if len(whole) <= MAX_OUTPUT_BYTES:
        return whole.decode()
    kept = whole[:MAX_OUTPUT_BYTES].decode(errors="ignore")
    return f"{kept}\n[cut off here: these are {len(kept.encode()):,} of {len(whole):,} bytes]"
