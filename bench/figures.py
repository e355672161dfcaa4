"""The arithmetic of the report: percentiles of one measurement, median and spread of its repeats."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def percentile(values: Iterable[float], percent: int) -> float:
    """Nearest rank: of 60 values the 99th percentile is the largest. Raises ValueError for no values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, rank - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """What the repeats of a measurement came to."""

    median: float
    least: float
    most: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Raises ValueError for no values."""
        if not values:
            raise ValueError("no values")
        return cls(statistics.median(values), min(values), max(values), len(values))

    def shown(self, digits: int) -> str:
        """`1.42 (1.31–1.60)`; the spread is left out where there is none."""
        middle, low, high = (f"{value:,.{digits}f}" for value in (self.median, self.least, self.most))
        return middle if self.repeats == 1 else f"{middle} ({low}–{high})"
