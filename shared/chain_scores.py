"""How the targets of a chain do: what they made of their last calls, and whether the second could stand in now.

A fallback that was never asked is a fallback that nobody has. So the calls of each target are written down, the last
hundred of the last day, and judged by one measure for all.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from shared import keys
from shared.redis_client import Redis
from shared.scripts import script
from shared.stored import build

KEPT = 100
FEWEST = 5
"""So few calls say nothing yet."""
LEAST = 0.95
"""The share of calls that must succeed, and of tool calls that must be valid."""


@dataclass(frozen=True, slots=True)
class Note:
    """One call. `outcome` is `ok`, else what went wrong; the other fields are zero then. Time without the gate's."""

    outcome: str
    milliseconds: int = 0
    cost_nano: int = 0
    tool_calls: int = 0
    valid_tool_calls: int = 0
    """Those that name a tool there is, with arguments that fit."""


@dataclass(frozen=True, slots=True)
class Score:
    """What the last calls of a target come to. A share or a mean of nothing is None."""

    calls: int
    success: float | None
    milliseconds: float | None
    """Median."""
    cost_nano: float | None
    """Mean."""
    tool_calls: int
    valid_tool_calls: float | None
    last_trouble: str | None
    """What went wrong the last time something did."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the second target can stand in for the first, and why one may think so."""

    ready: bool
    reason: str


class ChainScores:
    """Raises StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def note(self, chain: str, target: str, note: Note) -> None:
        where = {"calls": keys.chain_calls(chain, target)}
        await script("chain_note")(self._redis, where, {"note": json.dumps(asdict(note)), "most": KEPT})

    async def read(self, chain: str, target: str) -> Score:
        notes = await script("chain_read")(self._redis, {"calls": keys.chain_calls(chain, target)})
        return score([build(Note, json.loads(note)) for note in notes])


def score(notes: Sequence[Note]) -> Score:
    """The score of these calls, newest first."""
    good = [note for note in notes if note.outcome == "ok"]
    tool_calls = sum(note.tool_calls for note in good)
    return Score(
        calls=len(notes),
        success=len(good) / len(notes) if notes else None,
        milliseconds=median(note.milliseconds for note in good) if good else None,
        cost_nano=sum(note.cost_nano for note in good) / len(good) if good else None,
        tool_calls=tool_calls,
        valid_tool_calls=sum(note.valid_tool_calls for note in good) / tool_calls if tool_calls else None,
        last_trouble=next((note.outcome for note in notes if note.outcome != "ok"), None),
    )


def judge(second: str, found: Score) -> Verdict:
    """Whether the target named `second` has shown that it can stand in."""
    if found.success is None:
        return Verdict(False, f"{second}: no call in the last 24 h; drill_percent has it called on purpose")
    if found.calls < FEWEST:
        return Verdict(False, f"{second}: only {found.calls} of {FEWEST} calls needed in the last 24 h")
    if found.success < LEAST:
        return Verdict(False, f"{second}: success {_below(found.success)} (the last trouble: {found.last_trouble})")
    if found.valid_tool_calls is not None and found.valid_tool_calls < LEAST:
        return Verdict(False, f"{second}: valid tool calls {_below(found.valid_tool_calls)}")
    return Verdict(True, f"{second}: {_percent(found.success)} of its last {found.calls} calls succeeded")


def _below(share: float) -> str:
    return f"{_percent(share)} < {_percent(LEAST)}"


def _percent(share: float) -> str:
    """Rounded down, so that what is too little never looks like enough."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:g} %"
