"""A worker's own budget for while Redis is away, in a time that the test makes pass."""

import math
import random
from collections.abc import Callable

import pytest

from shared.local_budget import LocalBudget
from shared.pool import Limits, Spent, Used

LIMITS = Limits(requests=600, input=600_000, output=60_000, in_flight=1000)
CALL = Used(1, 500, 50)
STEP = 0.05


def budget(limits: Limits = LIMITS, living: int = 1, *, owed: float = 0, phase: float = 0) -> LocalBudget:
    return LocalBudget(limits, living, owed=owed, now=0, phase=phase)


def passing(workers: list[LocalBudget], need: Callable[[], Used], seconds: float) -> list[tuple[float, Used]]:
    """When what passed, with all of them as greedy as can be."""
    passed: list[tuple[float, Used]] = []
    heads = [need() for _ in workers]
    for step in range(round(seconds / STEP)):
        now = step * STEP
        for number, worker in enumerate(workers):
            while worker.wait(heads[number], 0, now) <= 0:
                worker.take(heads[number], now)
                passed.append((now, heads[number]))
                heads[number] = need()
    return passed


def used(passed: list[tuple[float, Used]], since: float, until: float) -> Used:
    calls = [call for at, call in passed if since <= at < until]
    return Used(len(calls), sum(call.input for call in calls), sum(call.output for call in calls))


def share(what: Used, limits: Limits = LIMITS) -> float:
    """Of the limits of a minute, in the tightest dimension."""
    return max(what.requests / limits.requests, what.input / limits.input, what.output / limits.output)


@pytest.mark.parametrize("living", [1, 3, 8, 40])
@pytest.mark.parametrize("size", [Used(1, 100, 10), Used(1, 5000, 20), Used(1, 100, 800)])
def test_all_workers_together_use_half_of_the_limit_and_never_the_full_one_each(living: int, size: Used) -> None:
    """Redis down must not give each pod the full limit (litellm 35533)."""
    workers = [LocalBudget(LIMITS, living, owed=0, now=0) for _ in range(living)]

    passed = passing(workers, lambda: size, seconds=180)

    assert share(used(passed, 0, 60)) <= 0.5
    for since in range(0, 120, 5):
        assert share(used(passed, since, since + 60)) <= 0.5 + living * share(size) + 1e-6, "and one call each"
    assert share(used(passed, 0, 180)) / 3 >= 0.3, "it is used"


def test_calls_of_all_sizes_keep_to_it_too() -> None:
    dice = random.Random(5)
    workers = [LocalBudget(LIMITS, 5, owed=0, now=0) for _ in range(5)]

    passed = passing(workers, lambda: Used(1, dice.randrange(1, 9000), dice.randrange(1, 900)), seconds=60)

    assert 0.3 < share(used(passed, 0, 60)) <= 0.5


def test_it_begins_empty() -> None:
    assert budget().wait(CALL, 0, 0) == pytest.approx(0.2), "300 requests a minute"
    assert budget(living=4).wait(CALL, 0, 0) == pytest.approx(0.8)


def test_workers_that_save_up_for_one_call_do_not_make_it_at_the_same_moment() -> None:
    workers = [LocalBudget(LIMITS, 300, owed=0, now=0) for _ in range(300)]

    passed = passing(workers, lambda: CALL, seconds=120)

    busiest = max(used(passed, since, since + 6).requests for since in range(114))
    assert 0 < busiest < 0.1 * LIMITS.requests, "what a provider lets through in one burst"


def test_what_calls_in_flight_will_still_say_is_paid_first() -> None:
    owing = budget(owed=1000)

    assert owing.wait(CALL, 1, 0) == pytest.approx(1050 / 500)
    owing.ended(Used(output=1000), Spent("ok", Used(output=400)), 0)
    assert owing.wait(CALL, 0, 0) == pytest.approx(450 / 500), "it has said less"


def test_a_quiet_time_is_saved_up_for_a_short_burst_only() -> None:
    rested = budget()

    rested.wait(CALL, 0, 0)
    rested.take(Used(), 3600)

    passed = 0
    while rested.wait(CALL, 0, 3600) <= 0:
        rested.take(CALL, 3600)
        passed += 1
    assert passed == 0.05 * LIMITS.requests


def test_a_large_call_waits_until_all_of_it_is_there() -> None:
    large = Used(1, 100_000, 50)
    one = budget(living=4)

    assert one.wait(large, 0, 0) == pytest.approx(80)
    assert one.wait(large, 0, 79) == pytest.approx(1)
    assert one.wait(large, 0, 80) <= 1e-9


def test_a_call_that_used_more_delays_the_next_one() -> None:
    one = budget()
    at = one.wait(CALL, 0, 0)
    one.take(CALL, at)

    one.ended(CALL, Spent("ok", Used(1, 500, 550)), at)

    assert one.wait(CALL, 0, at) == pytest.approx(1.0, abs=0.01)


def test_calls_in_flight_are_half_of_those_allowed() -> None:
    few = budget(Limits(600, 600_000, 60_000, in_flight=8), living=2)

    assert few.wait(CALL, 1, 10) <= 0
    assert few.wait(CALL, 2, 10) == math.inf


def test_a_worker_whose_part_is_less_than_one_call_in_flight_waits() -> None:
    assert budget(Limits(600, 600_000, 60_000, in_flight=8), living=5).wait(CALL, 0, 1000) == math.inf


def test_a_429_closes_it_for_as_long_as_the_provider_asks() -> None:
    one = budget()

    one.ended(CALL, Spent("busy", Used(), retry_after=7), 10)
    assert one.wait(CALL, 0, 10) == pytest.approx(7)

    one.ended(CALL, Spent("busy", Used()), 20)
    assert one.wait(CALL, 0, 20) == pytest.approx(60), "a cap on spending names no time"


def test_a_failing_provider_is_left_alone_for_longer_each_time() -> None:
    one, now, waits = budget(), 0.0, []
    for _ in range(8):
        one.ended(Used(), Spent("down", Used()), now)
        one.ended(Used(), Spent("down", Used()), now)  # of those that were under way before
        waits.append(one.wait(CALL, 0, now))
        now += waits[-1]

    assert all(2**n <= wait <= 1.2 * 2**n for n, wait in enumerate(waits[:6]))
    assert all(60 <= wait <= 72 for wait in waits[6:])
    one.ended(Used(), Spent("ok", Used()), now)
    one.ended(Used(), Spent("down", Used()), now)
    assert one.wait(CALL, 0, now) <= 1.2
