"""From books and lines to figures: what counts as used, whose wait counts, and how equal shares are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gate.budget import DIMENSIONS
from bench.gate.call_log import IN_FLIGHT, WAITING, CallRecord
from bench.gate.job import Outcome
from bench.gate.reckoning import Look, Run, budget_used, figures, jain, shares
from bench.gate.scenario import Callers, Scenario, Trickle
from bench.gate.scenarios import WIDE
from bench.store import Work
from local.provider.buckets import Bucket
from tests.local.hand_clock import HandClock

LOAD = (Callers("a", each=1), Callers("b", each=1), Trickle("i", per_second=1, workers=(0,)))


def dimension(**flows: float) -> dict[str, float]:
    still = dict.fromkeys(("refilled", "spilled", "foreign", "gulped", "used", "charged", "clamped", "level"), 0.0)
    return {"limit": 100.0, **still, **flows}


def books(users: Any = None, refused: Any = None, **dimensions: dict[str, float]) -> dict[str, Any]:
    return {
        "dimensions": {name: dimensions.get(name, dimension()) for name in DIMENSIONS},
        "refused": refused or {},
        "overloaded": 0,
        "users": users or {},
    }


def used(after: dict[str, float], before: dict[str, float] | None = None, *outages: Any) -> float:
    return budget_used(books(input_tokens=before or dimension()), books(input_tokens=after), outages)[1]


def test_what_was_refilled_and_used() -> None:
    assert used(dimension(refilled=100, used=80, level=20)) == 0.8
    assert used(dimension(refilled=100, used=80, spilled=20)) == 0.8


def test_the_dimension_that_binds_is_the_one_used_most() -> None:
    after = books(requests=dimension(refilled=10, used=4), output_tokens=dimension(refilled=100, used=90))
    assert budget_used(books(), after) == ("output_tokens", 0.9)


def test_what_somebody_else_took_was_never_ours() -> None:
    assert used(dimension(refilled=100, foreign=50, used=50)) == 1


def test_stock_that_was_drawn_upon_could_be_used_as_well() -> None:
    assert used(dimension(refilled=100, used=140, level=0), dimension(level=40)) == 1
    assert used(dimension(refilled=100, used=70, level=0, spilled=70), dimension(level=40)) == 0.5


def test_a_debt_at_the_end_is_drawn_upon_too() -> None:
    assert used(dimension(refilled=100, used=130, level=-30)) == 1


def test_a_gulp_takes_stock_but_excuses_no_pile() -> None:
    assert used(dimension(refilled=100, used=100, level=0, gulped=40), dimension(level=40)) == 1
    assert used(dimension(refilled=100, used=60, level=0, gulped=40)) == 0.6


def test_what_429s_cost_makes_a_dimension_tight_but_is_not_used() -> None:
    after = books(requests=dimension(refilled=100, used=60, charged=40), input_tokens=dimension(refilled=100, used=70))
    assert budget_used(books(), after) == ("requests", 0.6)


def test_stock_that_a_change_of_limits_cut_off_could_not() -> None:
    assert used(dimension(refilled=100, used=100, level=10, clamped=30), dimension(level=40)) == 1


def test_what_spilled_in_an_outage_could_not_either() -> None:
    outage = books(input_tokens=dimension(spilled=5)), books(input_tokens=dimension(spilled=65))
    assert used(dimension(refilled=200, spilled=65, used=135), None, outage) == pytest.approx(135 / 140)


kinds = st.sampled_from(["take", "gulp", "charge"])
moves = st.lists(st.tuples(st.floats(0.1, 20), st.floats(0, 60), kinds), max_size=40)


@given(moves, st.floats(0, 1))
def test_it_is_a_share_whatever_happens(steps: list[tuple[float, float, str]], share: float) -> None:
    clock = HandClock()
    bucket = Bucket(120, 0.5, clock)
    bucket.take(30)
    bucket.share(share)
    before = bucket.books()
    for seconds, amount, what in steps:
        clock.seconds += seconds
        getattr(bucket, what)(amount)
    assert 0 <= used(bucket.books(), before) <= 1 + 1e-9


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40), st.floats(0, 1))
def test_who_never_lets_it_run_over_has_used_it_all(pauses: list[float], share: float) -> None:
    clock = HandClock()
    bucket = Bucket(120, 0.5, clock)
    bucket.take(30)
    bucket.share(share)
    before = bucket.books()
    for seconds in pauses:
        clock.seconds += seconds
        bucket.take(bucket.level() - 20)
    after = bucket.books()
    assert used(after, before) == pytest.approx(1)


def test_jain_is_one_for_equal_shares_and_one_nth_for_a_monopoly() -> None:
    assert jain([3, 3, 3, 3]) == 1
    assert jain([1, 0, 0, 0]) == 0.25
    assert jain([2, 1]) == pytest.approx(0.9)
    assert jain([0, 0]) == 1
    assert jain([1]) is None


def test_a_share_is_the_largest_of_the_three_and_of_this_part_only() -> None:
    before = books(users={"a": {"requests": 10, "input_tokens": 0, "output_tokens": 0}})
    after = books(users={"a": {"requests": 20, "input_tokens": 30, "output_tokens": 5}, "b": {"requests": 5}})
    assert shares(before, after, ["a", "b", "c"]) == [0.3, 0.05, 0]


def call(tenant: str, asked: float, started: float | None, ended: float, outcome: str, tokens: int = 100) -> CallRecord:
    return CallRecord(tenant, tokens, asked, started, ended, 1 if started else 0, outcome)


def run_of(*calls: CallRecord, refused: int = 0) -> Run:
    warm = Look(10, books(requests=dimension(used=40)), Work(0, 100, 1.0), 2.0)
    after = books(refused={"requests": refused}, requests=dimension(used=95, refilled=100))
    return Run(Scenario("x", "X", "", LOAD, WIDE), warm, Look(20, after, Work(0, 140, 1.5), 12.0), [], calls, 2)


def test_costs_are_for_each_call_answered_in_the_measured_part() -> None:
    answered = [call("a", at, at + 1, at + 2, Outcome.ANSWERED) for at in (5, 9, 12, 15, 17.9, 19)]
    found = figures(run_of(*answered, refused=5))
    assert found["calls_per_s"] == pytest.approx(0.4)
    assert found["redis_requests"] == pytest.approx(10)
    assert found["redis_ms"] == pytest.approx(125)
    assert found["cpu_percent"] == pytest.approx(50)
    assert (found["refused"], found["refused_percent"]) == (5, 5)


def test_waits_that_ended_in_the_measured_part_and_those_that_never_did() -> None:
    found = figures(
        run_of(
            call("a", 1, 5, 6, Outcome.ANSWERED),  # before it
            call("a", 8, 11, 12, Outcome.ANSWERED),
            call("a", 14, 15, 21, IN_FLIGHT),
            call("a", 19, 20.5, 21, Outcome.ANSWERED),  # after it
            call("b", 1, None, 21, WAITING, tokens=9_000),
            call("b", 20.1, None, 21, WAITING),  # after it
            call("i", 12, 12.5, 13, Outcome.ANSWERED),
            call("b", 3, 12, 16, Outcome.GIVEN_UP),
        )
    )
    assert found["wait_p50_s"] == 3
    assert found["wait_p99_s"] == 20
    assert (found["large_p99_s"], found["interactive_p99_s"], found["given_up"]) == (20, 0.5, 1)


def test_who_backs_off_still_waits() -> None:
    assert call("a", 2, 5, 9, WAITING).wait == 7
    assert call("a", 2, 5, 9, Outcome.GIVEN_UP).wait == 7


def test_without_calls_there_are_no_waits_and_no_cost_of_one() -> None:
    found = figures(run_of())
    assert (found["wait_p50_s"], found["interactive_p99_s"]) == (None, None)
    assert (found["calls_per_s"], found["redis_requests"], found["redis_ms"]) == (0, None, None)
