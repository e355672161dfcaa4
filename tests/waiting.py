"""Waiting for a condition, instead of for a while."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from shared import clock

_STEP_SECONDS = 0.01


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 30) -> None:
    """Returns once the condition holds; fails when it does not in time."""
    deadline = clock.monotonic() + seconds
    while True:
        holds = condition()
        if await holds if inspect.isawaitable(holds) else holds:
            return
        assert clock.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(_STEP_SECONDS)
