"""Whether an agent goes round in circles: the same calls, again and again, of which nothing new comes.

Pure, on the transcript, so a crash in the middle of a loop does not make it any longer. It looks at whole turns: a turn
is as another when it makes the same calls, in whatever order, with the same arguments and the same outcome. What
counts as an outcome depends on the tool. A `read` whose result has changed has told something new: polling is no loop.
Of a tool that does something it is enough that it was done again, since its receipts may differ for ever. A call that
failed has failed, however its error is worded.

A result may change for ever as well (a time of day, a percentage that never gets to a hundred), and each look costs a
turn: the same calls are a loop whatever they tell once they were made PATIENCE times as often.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.turn import Transcript, TurnCall
from worker.tools import Effect, Tool

LONGEST_CYCLE = 4
"""Turns after which a cycle may begin again. Longer ones are rare, and `max_turns` ends them, too."""
PATIENCE = 4
"""With the usual five repeats that is as many turns as a job usually has: it is for those that have more."""
_LONGEST_ARGUMENTS = 200
"""Characters of a call's arguments that are shown."""

_Turn = frozenset[tuple[str, str, str]]


def loop_in(transcript: Transcript, tools: Mapping[str, Tool], repeats: int) -> str | None:
    """What the agent did `repeats` times in a row, in words, if that is what it did last; None when it gets on."""
    recent = transcript.calls_of_turns(LONGEST_CYCLE * PATIENCE * repeats)
    turns = [_outline(calls, tools) for calls in recent]
    if period := cycle(turns, repeats):
        return f"{_story(recent[-period:], repeats)}, and nothing new came of it"
    asked = [frozenset((name, given, "") for name, given, _ in turn) for turn in turns]
    if period := cycle(asked, PATIENCE * repeats):
        return f"{_story(recent[-period:], PATIENCE * repeats)}, whatever came of it"
    return None


def cycle(turns: Sequence[_Turn], repeats: int) -> int | None:
    """After how many turns the last ones repeat themselves, if they do so `repeats` times; a turn without calls, or
    with some that have not ended, is no part of a loop."""
    for period in range(1, LONGEST_CYCLE + 1):
        last = turns[-period * repeats :]
        if len(last) == period * repeats and all(last) and last[period:] == last[:-period]:
            return period
    return None


def _outline(calls: Sequence[TurnCall], tools: Mapping[str, Tool]) -> _Turn:
    if any(call.result is None for call in calls):
        return frozenset()
    return frozenset((call.name, _canonical(call.input), _outcome(call, tools.get(call.name))) for call in calls)


def _outcome(call: TurnCall, tool: Tool | None) -> str:
    if call.result is None or call.result.is_error or tool is None:
        return "failed"
    return f"said {call.result.content}" if tool.effect == Effect.READ else "done"


def _canonical(given: Mapping[str, Any]) -> str:
    return json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _story(turns: Sequence[Sequence[TurnCall]], repeats: int) -> str:
    done = ", then ".join(" and ".join(_shown(call) for call in calls) for calls in turns)
    return f"{done}: {repeats} times in a row"


def _shown(call: TurnCall) -> str:
    given = _canonical(call.input)
    return f"{call.name}({given if len(given) <= _LONGEST_ARGUMENTS else given[:_LONGEST_ARGUMENTS] + '…'})"
