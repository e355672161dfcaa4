"""What the gate wants to reach, and whether a run met it: each figure in the scenario where it is worst."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.gate.scenarios import SCENARIOS
from bench.measurement import Figure
from bench.rows import Row
from bench.targets import Bound, judged

OURS = "sluice"
_ALL = tuple(scenario.name for scenario in SCENARIOS)
_GULPS = ("foreign_burst",)
_KNOWABLE = tuple(name for name in _ALL if name not in _GULPS)
"""Where the provider's state can be known: nobody can know when somebody else takes a gulp."""


@dataclass(frozen=True, slots=True)
class Target:
    """`figure` of ours, in the worst of these scenarios."""

    what: str
    figure: str
    scenarios: tuple[str, ...]
    unit: str
    floor: Bound
    goal: Bound
    digits: int = 0

    def worst(self, rows: Sequence[Row]) -> tuple[float, str] | None:
        """The worst median of ours, and where that was; None when it was not measured."""
        medians = [(median, name) for name in self.scenarios if (median := self._median(rows, name)) is not None]
        if not medians:
            return None
        return max(medians) if self.floor.at_most else min(medians)

    def line(self, rows: Sequence[Row]) -> str:
        """Of the table."""
        found = self.worst(rows)
        verdict = judged(found[0] if found else None, self.floor, self.goal)
        bounds = f"{self.floor.shown(self.unit)} | {self.goal.shown(self.unit)}"
        return f"| {self.what} | {self._shown(found)} | {bounds} | {verdict} |"

    def _median(self, rows: Sequence[Row], scenario: str) -> float | None:
        """What failed counts as the worst there is: a target is not met by the repeats that went well."""
        own = [row for row in rows if (row.measurement, row.contender) == (scenario, OURS)]
        worst = math.inf if self.floor.at_most else 0.0
        values = [worst if row.error else _number(row.figures[self.figure]) for row in own]
        return statistics.median(values) if values else None

    def _shown(self, found: tuple[float, str] | None) -> str:
        if found is None:
            return "–"
        value = "never" if math.isinf(found[0]) else f"{found[0]:,.{self.digits}f} {self.unit}".strip()
        return f"{value} ({found[1]})" if len(self.scenarios) > 1 else value


def _number(figure: Figure) -> float:
    """A figure of None did not happen within the run."""
    return math.inf if figure is None else float(figure)


def _at_most(limit: float) -> Bound:
    return Bound(limit, at_most=True)


def _at_least(limit: float) -> Bound:
    return Bound(limit, at_most=False)


TARGETS = (
    Target(
        "budget used, worst scenario without gulps of others",
        "use_percent",
        _KNOWABLE,
        "%",
        _at_least(97),
        _at_least(99),
        digits=1,
    ),
    Target("429s, worst scenario without gulps of others", "refused", _KNOWABLE, "", _at_most(0), _at_most(0)),
    Target(
        "429s where others take gulps, of all calls",
        "refused_percent",
        _GULPS,
        "%",
        _at_most(0.5),
        _at_most(0),
        digits=2,
    ),
    Target("calls given up, worst scenario", "given_up", _ALL, "", _at_most(0), _at_most(0)),
    Target("Jain index, a flood and three tenants", "jain", ("fair",), "", _at_least(0.95), _at_least(0.98), digits=3),
    Target("interactive p99 beside them", "interactive_p99_s", ("fair",), "s", _at_most(1), _at_most(0.5), digits=2),
    Target("Redis requests per call", "redis_requests", ("saturated",), "", _at_most(4), _at_most(3), digits=1),
    Target("Redis CPU per call", "redis_ms", ("saturated",), "ms", _at_most(0.6), _at_most(0.3), digits=2),
)


def render(rows: Sequence[Row]) -> str:
    """Markdown; nothing when ours was not measured."""
    if not any(row.contender == OURS for row in rows):
        return ""
    head = ["### Ours against the targets", "", "| what | ours | floor | goal | verdict |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(target.line(rows) for target in TARGETS)])
