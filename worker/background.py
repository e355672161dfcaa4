"""The one shape of a background loop: does something at an interval, survives every error, says each only once."""

import asyncio
from collections.abc import Awaitable, Callable

from shared import log

logger = log.get(__name__)

SOON_SECONDS = 0.5


async def every(seconds: float, name: str, action: Callable[[], Awaitable[None]]) -> None:
    """Runs `action` now and then at the interval (after a failure soon again), until cancelled."""
    failing = False
    while True:
        try:
            await action()
            if failing:
                logger.info("loop_recovered", loop=name)
            failing = False
        except Exception as error:
            if not failing:
                logger.warning("loop_failing", loop=name, error=f"{type(error).__name__}: {error}")
            failing = True
        await asyncio.sleep(min(seconds, SOON_SECONDS) if failing else seconds)
