"""One order on its way: each attempt at it goes to the provider through the project's own client."""

import time
from collections.abc import Callable
from enum import StrEnum

from bench.gate.order import Order
from shared.pool import Headroom
from worker.provider import Answer, Provider


class Outcome(StrEnum):
    """What a contender says of a call."""

    ANSWERED = "answered"
    GIVEN_UP = "given_up"


class Job:
    """What a contender gets: it decides when `attempt` is called, and how often."""

    def __init__(self, order: Order, provider: Provider) -> None:
        self.order = order
        self.request = order.request()
        self.asked = time.monotonic()
        self.started: float | None = None
        """When the last attempt began; None while there was none."""
        self.calling = False
        """Whether an attempt is under way."""
        self.attempts = 0
        self._provider = provider

    async def attempt(self, on_headroom: Callable[[Headroom], None] = lambda headroom: None) -> Answer:
        """Makes the call once. Raises ProviderError."""
        self.attempts += 1
        self.started = time.monotonic()
        self.calling = True
        try:
            return await self._provider.stream(self.request, _unheard, on_headroom)
        finally:
            self.calling = False


def _unheard(text: str) -> None:
    """Nobody reads it."""
