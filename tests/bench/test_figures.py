"""Percentiles and spreads: what every figure of the report goes through."""

import pytest

from bench.figures import Spread, percentile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 99, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 50, 2.0),
        (range(1, 101), 99, 99),
        (range(1, 61), 99, 60),
        (range(1, 61), 0, 1),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: int, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_spread_shows_median_least_and_most() -> None:
    assert Spread.of([3.0, 1.0, 1234.5]).shown(1) == "3.0 (1.0–1,234.5)"


def test_one_repeat_has_no_spread() -> None:
    assert Spread.of([2.345]).shown(2) == "2.35"


def test_nothing_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])
