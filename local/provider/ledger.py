"""The record of calls: what tests and demo look at to know what really reached the provider."""

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

from local.provider.clock import Now

_KEPT_CALLS = 20_000
_CONVERSATION_CHARACTERS = 200


@dataclass(slots=True)
class Call:
    """One request to /v1/messages. Times are seconds since the provider started."""

    number: int
    request_id: str
    started: float
    model: str | None = None
    conversation: str = ""
    """The first 200 characters of the first user text."""
    user: str = ""
    """Whose call it is, as it says itself."""
    messages: int = 0
    stream: bool = False
    finished: float | None = None
    """None while the call is in flight."""
    status: int | None = None
    """The HTTP status sent; None when none was."""
    fault: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    """The counts of the Messages API; output_tokens as far as they were produced. Empty when not admitted."""
    stop_reason: str | None = None
    completed: bool = False
    """Whether the whole answer was sent."""
    client_gone: bool = False
    """Whether the client closed the connection first."""

    def describe(self, conversation: str) -> None:
        self.conversation = conversation[:_CONVERSATION_CHARACTERS]


class Ledger:
    """The last calls one by one, and totals over all of them."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._started = now()
        self._numbers = 0
        self._in_flight = 0
        self._peak_in_flight = 0
        self._clear()

    def open(self, request_id: str) -> Call:
        self._numbers += 1
        call = Call(self._numbers, request_id, self._elapsed())
        self._calls.append(call)
        self._in_flight += 1
        self._peak_in_flight = max(self._peak_in_flight, self._in_flight)
        return call

    def close(self, call: Call) -> None:
        """Once for each call, however it ended."""
        self._in_flight -= 1
        call.finished = self._elapsed()
        self._totals["calls"] += 1
        self._totals["completed"] += call.completed
        self._totals["client_gone"] += call.client_gone
        self._totals["errors_4xx"] += call.status is not None and 400 <= call.status < 500
        self._totals["errors_5xx"] += call.status is not None and call.status >= 500
        self._tokens.update(call.usage)

    def admitted(self) -> None:
        self._totals["admitted"] += 1

    def refused(self, dimension: str) -> None:
        """A 429 by a limit."""
        self._refused[dimension] += 1

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def calls(self) -> list[dict[str, Any]]:
        """The body of `GET /_sim/calls`, the oldest first."""
        return [asdict(call) for call in self._calls]

    def stats(self) -> dict[str, Any]:
        """The body of `GET /_sim/stats`. Tokens are counted when a call ends.

        `started_at` is when the provider started, by the steady clock that all processes of a machine share: added to
        a call's times it makes them comparable with another process's `time.monotonic()`.
        """
        return {
            **{name: self._totals[name] for name in _TOTALS},
            "refused": {name: self._refused[name] for name in _REFUSALS},
            "tokens": {name: self._tokens[name] for name in _TOKENS},
            "in_flight": self._in_flight,
            "peak_in_flight": self._peak_in_flight,
            "started_at": self._started,
            "seconds": self._elapsed(),
        }

    def reset(self) -> None:
        """Forget what was. Calls in flight go on, are counted when they end, but are no longer listed."""
        self._clear()

    def _clear(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self._totals: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._peak_in_flight = self._in_flight

    def _elapsed(self) -> float:
        return self._now() - self._started


_TOTALS = ("calls", "admitted", "completed", "client_gone", "errors_4xx", "errors_5xx")
_REFUSALS = ("requests", "input_tokens", "output_tokens", "connections", "fault")
_TOKENS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
