"""Time: stored milliseconds and RFC 3339 are the same moment, to the millisecond."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import clock

LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_769_860_800_999, "2026-01-31T12:00:00.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_stored_time_is_shown_in_utc_with_milliseconds(milliseconds: int, text: str) -> None:
    assert clock.rfc3339(milliseconds) == text
    assert clock.from_rfc3339(text) == milliseconds


def test_no_time_stays_none() -> None:
    assert clock.rfc3339(None) is None


@given(milliseconds=st.integers(0, LAST_MS))
def test_a_time_shown_and_read_is_the_same_time(milliseconds: int) -> None:
    shown = clock.rfc3339(milliseconds)
    assert shown is not None
    assert clock.from_rfc3339(shown) == milliseconds


@given(first=st.integers(0, LAST_MS), second=st.integers(0, LAST_MS))
def test_shown_times_are_in_order(first: int, second: int) -> None:
    assert (str(clock.rfc3339(first)) < str(clock.rfc3339(second))) == (first < second)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T07:00:00.000-05:00",
        "2026-01-31T12:00:00.0004Z",
        "2026-01-31T12:00:00.000999Z",
        "2026-01-31 12:00:00Z",
    ],
)
def test_a_time_of_any_zone_is_understood_and_cut_to_milliseconds(text: str) -> None:
    assert clock.from_rfc3339(text) == 1_769_860_800_000


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "2026-01-31T25:00:00Z", "1769860800"],
)
def test_what_is_no_moment_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        clock.from_rfc3339(text)


def test_a_time_without_a_zone_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="a time needs its zone"):
        clock.from_rfc3339("2026-01-31T12:00:00")


def test_the_steady_clock_never_goes_back() -> None:
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)


def test_the_clock_on_the_wall_knows_its_zone() -> None:
    shown = clock.wall_clock(UTC)
    assert shown.utcoffset() == timedelta(0)
    assert abs(shown - datetime.now(UTC)) < timedelta(minutes=1)
