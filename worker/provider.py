"""The words between the agent loop and a model provider: what is asked, what is answered, what can go wrong.

ProviderError
├── ProviderBusy       429: our budget there is used up; try again after `retry_after`
├── ProviderDown       529, 5xx, a lost connection, a broken answer: the weather; try again with back-off
└── ProviderRefused    our request or key is wrong, or out of credit: never try again
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from shared.pool import NOTHING_SAID, Headroom
from shared.turn import Block
from shared.usage import Usage


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call in the words of the Messages API."""

    system: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Question:
    """What a turn asks, whoever will be asked. `messages` are those that the target of a name may be asked with."""

    system: str
    messages: Callable[[str], list[dict[str, Any]]]
    tools: list[dict[str, Any]]
    max_tokens: int

    def to(self, target: str, max_tokens: int) -> ModelRequest:
        return ModelRequest(self.system, self.messages(target), self.tools, max_tokens)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `usage` holds tokens only."""

    content: list[Block]
    stop_reason: str
    usage: Usage
    model: str
    request_id: str | None


class ProviderError(Exception):
    """`type` is the provider's own error type, `began` whether it had begun to answer (then input was counted), and
    `pool` the name of the pool of the target, once that is known."""

    def __init__(
        self,
        message: str,
        *,
        type: str,
        request_id: str | None = None,
        retry_after: float | None = None,
        began: bool = False,
        headroom: Headroom = NOTHING_SAID,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.request_id = request_id
        self.retry_after = retry_after
        self.began = began
        self.headroom = headroom
        self.pool = ""


class ProviderBusy(ProviderError):
    pass


class ProviderDown(ProviderError):
    pass


class ProviderRefused(ProviderError):
    pass


class Provider(Protocol):
    """One target's provider. Raises ProviderError only."""

    async def stream(
        self, request: ModelRequest, on_text: Callable[[str], None], on_headroom: Callable[[Headroom], None]
    ) -> Answer:
        """Makes the call once, handing on what the headers say and text as it comes."""
        ...

    async def probe(self) -> None:
        """Asks for something that costs nothing."""
        ...

    async def close(self) -> None: ...
