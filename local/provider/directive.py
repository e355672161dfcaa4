"""The directive: `<sim>{...}</sim>` anywhere in a user's text scripts what the model does.

docs/simulated-provider.md has the table of its fields for agent developers.
"""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.provider.conversation import DIRECTIVE_OPENS
from local.provider.errors import ApiError, invalid_request
from local.provider.faults import StepFault

_DIRECTIVE = re.compile(r"<sim>(.*?)</sim>", re.DOTALL)

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"]


class ToolCall(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1)
    input: dict[str, Any] = Field(default_factory=dict)


class Pace(StepFault):
    """What can be said of one answer, and of all of them at the top level."""

    output_tokens: int | None = Field(default=None, ge=1)
    latency: float | None = Field(default=None, ge=0)
    """Seconds to the first token."""
    tokens_per_second: float | None = Field(default=None, gt=0)


class Turn(Pace):
    """One answer of the model."""

    text: str | None = None
    """Exactly this text; null with no tools is an answer made up."""
    tools: list[ToolCall] = Field(default_factory=list)
    stop_reason: StopReason | None = None
    """null is tool_use with tools, end_turn without."""


Count = Annotated[int, Field(ge=1)]


class Directive(Pace):
    """A whole script. Without `turns`, `loop` and `refuse` it is one answer in text."""

    turns: Count | list[Turn] | None = None
    """The answers one by one, or how many there are, all but the last calling `tool`."""
    tool: str | None = None
    """For a number of turns; null is the first tool offered."""
    loop: str | None = None
    """Call this tool for ever, always with the same input."""
    refuse: bool = False
    user: str | None = None
    """Whose call it is, for a caller that cannot say so in `metadata.user_id`."""


def read_directive(text: str) -> Directive:
    """The last directive in a text that holds one. Raises ApiError 400 that says what is wrong with it."""
    found = _DIRECTIVE.findall(text)
    if not found:
        raise invalid_request("sim directive: <sim> without </sim>")
    try:
        directive = Directive.model_validate(json.loads(found[-1]))
    except json.JSONDecodeError as error:
        raise invalid_request(f"sim directive: not JSON: {error}") from None
    except ValidationError as error:
        raise _explain(error) from None
    ways = [name for name in ("turns", "loop", "refuse") if getattr(directive, name)]
    if len(ways) > 1:
        raise invalid_request(f"sim directive: {' and '.join(ways)} exclude each other")
    if directive.turns == []:
        raise invalid_request("sim directive: turns: at least one turn is needed")
    return directive


def without_directive(text: str) -> str:
    if DIRECTIVE_OPENS not in text:
        return text
    return _DIRECTIVE.sub("", text).strip()


def _explain(error: ValidationError) -> ApiError:
    """Every mistake, each with its path: `turns.0.tools.0.name: Field required`."""
    mistakes = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"] if not _is_branch(part))
        mistakes.append(f"{path or 'directive'}: {item['msg']}")
    return invalid_request("sim directive: " + "; ".join(dict.fromkeys(mistakes)))


def _is_branch(part: int | str) -> bool:
    """Whether pydantic put this part in the path to name a member of a union."""
    return isinstance(part, str) and (part.startswith(("constrained-", "list[")) or part in ("int", "float"))
