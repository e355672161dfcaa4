"""Where in a conversation a request stands: what was asked, and how many answers came since."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from local.provider.messages import Message

DIRECTIVE_OPENS = "<sim>"


@dataclass(frozen=True, slots=True)
class Question:
    """A text of the user's, and the number of assistant messages after it."""

    text: str
    step: int
    position: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """`key` is the same for every request that begins with the same user text."""

    key: str
    first_text: str
    question: Question
    """The last thing the user asked."""
    directive: Question | None
    """The last user text that holds a directive."""


def read_conversation(messages: Sequence[Message]) -> Conversation:
    questions = [
        Question(text, _answers_after(messages, position), position)
        for position, message in enumerate(messages)
        if message.role == "user" and (text := text_of(message))
    ]
    first = questions[0].text if questions else ""
    asked = [question for question in questions if not _has_results(messages[question.position])]
    directives = [question for question in questions if DIRECTIVE_OPENS in question.text]
    return Conversation(
        key=hashlib.sha256(first.encode()).hexdigest()[:16],
        first_text=first,
        question=asked[-1] if asked else Question("", _answers_after(messages, -1), 0),
        directive=directives[-1] if directives else None,
    )


def text_of(message: Message) -> str:
    return "\n".join(block["text"] for block in message.blocks if block["type"] == "text")


def _has_results(message: Message) -> bool:
    return any(block["type"] == "tool_result" for block in message.blocks)


def _answers_after(messages: Sequence[Message], position: int) -> int:
    """Finished answers only: an assistant message at the very end is the start of the next one."""
    return sum(1 for message in messages[position + 1 : -1] if message.role == "assistant")
