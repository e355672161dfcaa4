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

_CHARACTERS_PER_MEDIUM = 5_000
"""About 1,600 tokens, what the provider counts for a large image."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call in the words of the Messages API."""

    system: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    max_tokens: int
    goes_on: bool = False
    """Other calls are likely to begin with these messages: what the provider remembers of them pays off."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a turn asks, whoever will be asked. `messages` are those that the target of a name may be asked with."""

    system: str
    messages: Callable[[str], list[dict[str, Any]]]
    tools: list[dict[str, Any]]
    max_tokens: int
    goes_on: bool = False
    """See ModelRequest."""

    def to(self, target: str, max_tokens: int) -> ModelRequest:
        return ModelRequest(self.system, self.messages(target), self.tools, max_tokens, self.goes_on)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `usage` holds tokens only."""

    content: list[Block]
    stop_reason: str
    usage: Usage
    model: str
    request_id: str | None


def weighed(content: Any) -> Any:
    """Content with each image or document replaced by a text of about its weight: its bytes say nothing of tokens."""
    if isinstance(content, list):
        return [weighed(item) for item in content]
    if isinstance(content, dict):
        if content.get("type") == "base64":
            return "x" * _CHARACTERS_PER_MEDIUM
        return {name: weighed(item) for name, item in content.items()}
    return content


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


def unheard(usage: Usage) -> None:
    """For who does not want to know what was used."""


class Provider(Protocol):
    """One target's provider. Raises ProviderError only."""

    async def stream(
        self,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_headroom: Callable[[Headroom], None],
        on_usage: Callable[[Usage], None] = unheard,
    ) -> Answer:
        """Makes the call once, handing on what the headers say, text as it comes, and tokens used so far: what an
        answer that breaks off has cost. Of its output these are an estimate until the provider has counted it."""
        ...

    async def probe(self) -> None:
        """Asks for something that costs nothing."""
        ...

    async def close(self) -> None: ...
