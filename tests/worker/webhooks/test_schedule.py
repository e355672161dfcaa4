"""When a delivery is tried again: ten attempts over three days, never before a receiver wants to be asked."""

import itertools

import pytest

from worker.webhooks.schedule import PAUSES_SECONDS, pause

HOUR = 3600


def test_the_schedule_is_that_of_the_contract() -> None:
    assert PAUSES_SECONDS == (5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)


@pytest.mark.parametrize(("tries", "seconds"), list(enumerate(PAUSES_SECONDS, 1)))
def test_each_pause_is_spread_by_a_fifth(tries: int, seconds: int) -> None:
    drawn = [pause(tries, None) or 0 for _ in range(300)]
    assert all(0.8 * seconds <= one <= 1.2 * seconds for one in drawn)
    assert max(drawn) - min(drawn) > 0.2 * seconds, "not all at once"


def test_the_tenth_is_the_last() -> None:
    assert next(tries for tries in itertools.count(1) if pause(tries, None) is None) == 10
    assert pause(10, 60.0) is None


def test_retry_after_is_waited_for_but_makes_nothing_sooner() -> None:
    assert pause(1, 120.0) == 120
    assert (pause(2, 1.0) or 0) >= 240
    assert pause(1, 1e9) == 24 * HOUR
