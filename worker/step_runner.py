"""Running one step of a custom agent: time limited, its result as JSON, whatever goes wrong turned into words."""

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared import clock
from worker.threads import in_thread

LONGEST_RESULT = 1_000_000
"""Bytes of a step's result as JSON: it is kept in the journal, and read back with each attempt."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """`result` as it comes back from JSON, so that it is the same the first time and after a crash."""

    result: Any
    error: str
    milliseconds: int
    cause: BaseException | None = None
    """What was raised, in this process alone."""


async def run_step(function: Callable[[], Any], seconds: float) -> StepOutcome:
    """Calls the function once, a sync one in a thread, where it cannot be interrupted. Never raises what it raises."""
    started = clock.monotonic()
    result, error, cause = await _called(function, seconds)
    return StepOutcome(result, error, int((clock.monotonic() - started) * 1000), cause)


async def _called(function: Callable[[], Any], seconds: float) -> tuple[Any, str, BaseException | None]:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            result = await (function() if _is_async(function) else in_thread(function))
            if inspect.isawaitable(result):  # of a plain function that returns one
                result = await result
        return json.loads(_as_json(result)), "", None
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return None, "it was cancelled from within", cancelled  # by itself: nobody stopped it
    except (Exception, SystemExit) as raised:
        if limit.expired():
            return None, f"it did not end within {seconds:g} seconds", raised
        return None, f"{type(raised).__name__}: {raised}", raised


def _is_async(function: Callable[[], Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _as_json(result: Any) -> str:
    """Raises TypeError for what would not come back as it was, or is too much to keep."""
    try:
        text = json.dumps(result, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"a step must return JSON, so that it can be remembered: {error}") from error
    if size > LONGEST_RESULT:
        raise TypeError(f"a step may return {LONGEST_RESULT} bytes of JSON, not {size}: return where the rest is kept")
    return text
