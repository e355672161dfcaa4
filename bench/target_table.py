"""Ours against the targets (`bench.targets`), by the medians of a run."""

import math
import statistics
from collections.abc import Mapping, Sequence

from bench.contender import Contender
from bench.measurement import Figure
from bench.rows import Row
from bench.targets import TARGETS, Target, best

_OURS = ("sluice", "sluice-http")


def render(rows: Sequence[Row], contenders: Mapping[str, Contender]) -> str:
    """Markdown; nothing when ours was not measured."""
    if not any(row.contender in _OURS for row in rows):
        return ""
    lines = [_line(target, rows, contenders) for target in TARGETS]
    head = ["### Ours against the targets", "", "| what | ours | floor | goal | verdict |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines])


def _line(target: Target, rows: Sequence[Row], contenders: Mapping[str, Contender]) -> str:
    value = _median(rows, target, target.contender, target.profile)
    peer = best(_of_peers(target, rows, contenders), at_most=target.floor.at_most)
    bounds = (target.floor.shown(target.unit), target.goal.shown(target.unit))
    return f"| {target.what} | {_shown(target, value)} | {bounds[0]} | {bounds[1]} | {target.verdict(value, peer)} |"


def _shown(target: Target, value: float | None) -> str:
    if value is None:
        return "–"
    return "never" if math.isinf(value) else f"{value:,.{target.digits}f} {target.unit}".strip()


def _of_peers(target: Target, rows: Sequence[Row], contenders: Mapping[str, Contender]) -> dict[str, float]:
    """Each Python peer's median with the best settings it was measured with."""
    found: dict[str, float] = {}
    for contender in contenders.values():
        if contender.name in _OURS or contender.software.language != "python":
            continue
        medians = {one: _median(rows, target, contender.name, one) for one in ("default", target.profile)}
        known = {one: value for one, value in medians.items() if value is not None}
        reached = best(known, at_most=target.floor.at_most)
        if reached is not None:
            found[contender.name] = reached
    return found


def _median(rows: Sequence[Row], target: Target, contender: str, profile: str) -> float | None:
    """A figure of None did not happen within its time, such as a second start, and is infinite. What failed counts
    as well, as the worst there is: a target is not met by the repeats that went well."""
    wanted = (target.measurement, contender, profile)
    own = [row for row in rows if (row.measurement, row.contender, row.profile) == wanted]
    worst = math.inf if target.floor.at_most else 0.0
    values = [worst if row.error else _number(row.figures[target.figure]) for row in own]
    return statistics.median(values) if values else None


def _number(figure: Figure) -> float:
    return math.inf if figure is None else float(figure)
