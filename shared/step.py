"""What a custom agent's journal holds besides its turns: its steps, and where in its function each record belongs.

A custom agent is a function that begins anew with each attempt and is given what the journal remembers. So each record
has a `Mark`: which call of the function made it (docs/custom-agents.md, docs/adr/0015-step-wise-agents.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from shared.stored import build


@dataclass(frozen=True, slots=True)
class Mark:
    """One call of the context by the agent's function."""

    name: str
    number: int
    """The how manieth of this name; the first is 1."""
    asked: str
    """A fingerprint of what it asked for; '' for what cannot be compared."""
    order: int
    """The how manieth of all, as long as the function had done one thing after the other; 0 from when it no longer
    did, as then the order may be another one the next time."""

    @property
    def id(self) -> str:
        """By which a person's decision names it."""
        return f"{self.name}/{self.number}"

    def __str__(self) -> str:
        return f"{self.name!r}" if self.number == 1 else f"{self.name!r} (number {self.number})"


@dataclass(frozen=True, slots=True)
class StepIntentRecord:
    """Written before a step that must not run twice: with nothing after it, its outcome is unknown."""

    kind: ClassVar[str] = "step_intent"
    turn: int
    mark: Mark
    key: str = ""
    """Its idempotency key: a fork goes on with it. '' where that was not written down."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The receipt of a step: what it returned, which is JSON, or how it failed. So many turns were before it."""

    kind: ClassVar[str] = "step"
    turn: int
    mark: Mark
    result: Any
    error: str
    """'' when it did not fail."""
    milliseconds: int
    key: str = ""


def marked(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a stored record with its mark as such; a record of a declared agent has none."""
    mark = stored.get("mark")
    return dict(stored) | {"mark": build(Mark, mark) if mark else None}
