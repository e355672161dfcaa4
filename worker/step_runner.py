"""Running one step of a custom agent: time limited, its result as JSON, whatever goes wrong turned into words."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from shared import clock
from worker import foreign
from worker.tool_runner import cut

LONGEST_RESULT = 1_000_000
"""Bytes of a step's result as JSON: it is kept in the journal, and read back with each attempt."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """`result` as it comes back from JSON, so that it is the same the first time and after a crash."""

    result: Any = None
    error: str = ""
    milliseconds: int = 0
    cause: BaseException | None = None
    """What was raised, in this process alone."""
    late: bool = False
    """It did not end in time: it may have happened, or happen yet."""


async def run_step(function: Callable[[], Any], seconds: float) -> StepOutcome:
    """Calls the function once, a sync one in a thread, where it cannot be interrupted. Never raises what it raises."""
    started = clock.monotonic()
    outcome = await _called(function, seconds)
    return replace(outcome, milliseconds=int((clock.monotonic() - started) * 1000))


async def _called(function: Callable[[], Any], seconds: float) -> StepOutcome:
    try:
        return StepOutcome(as_kept(await foreign.call(function, seconds)))
    except (foreign.TookTooLong, foreign.Escaped) as error:
        return StepOutcome(error=cut(str(error)), cause=error.__cause__, late=isinstance(error, foreign.TookTooLong))
    except Exception as error:
        return StepOutcome(error=cut(f"{type(error).__name__}: {error}"), cause=error)


def as_kept(result: Any) -> Any:
    """As it comes back from the journal. Raises TypeError for what would not come back as it was, or is too much to
    keep."""
    try:
        text = json.dumps(result, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"a step must return JSON, so that it can be remembered: {error}") from error
    if size > LONGEST_RESULT:
        raise TypeError(f"a step may return {LONGEST_RESULT} bytes of JSON, not {size}: return where the rest is kept")
    return json.loads(text)
