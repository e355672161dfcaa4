"""Messages to a job: what its sender says to it while it has not ended, and how the agent hears of it.

A message waits beside the job until the worker is between two turns. Then one script makes it a line of the journal
(`job_hear.lua`), so that it is neither lost nor heard twice, whatever dies.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

LONGEST_MESSAGE = 32_000
"""Characters."""
MOST_UNHEARD = 100
"""Messages that wait for one job."""
LONGEST_TOLD = 4_000
"""Characters of a message that followers are told; a longer one is in the turns."""


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message as the journal has it: heard after so many turns. `at_ms` is when it came, Redis TIME."""

    kind: ClassVar[str] = "message"
    turn: int
    id: str
    content: str
    at_ms: int

    def blocks(self) -> list[dict[str, Any]]:
        """As the model is given it."""
        return [{"type": "text", "text": self.content}]


@dataclass(frozen=True, slots=True)
class Message:
    """One that was taken: not lost any more, and not heard yet or heard by now."""

    id: str
    content: str
    at_ms: int

    @classmethod
    def from_json(cls, text: str) -> "Message":
        fields = json.loads(text)
        return cls(fields["id"], fields["content"], fields["at_ms"])


def followed_by(messages: Sequence[dict[str, Any]], blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A conversation in which the user says these blocks next: in one message with what he said last, if the model has
    not answered that, since the Messages API takes user and assistant in turn."""
    if not blocks:
        return list(messages)
    if not messages or messages[-1]["role"] != "user":
        return [*messages, {"role": "user", "content": list(blocks)}]
    said = messages[-1]["content"]
    before = [{"type": "text", "text": said}] if isinstance(said, str) else said
    return [*messages[:-1], {"role": "user", "content": [*before, *blocks]}]
