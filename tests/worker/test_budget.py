"""What a job may still use: which limit ends it, and how long its next answer may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.job import Budget, IncompleteReason
from shared.usage import Usage
from worker.budget import exhausted, output_allowance

NO_LIMITS = Budget(max_turns=None, max_tokens=None, max_cost_nano=None, max_seconds=None)

counts = st.integers(0, 10**9)
limits = st.none() | st.integers(1, 10**9)
usages = st.builds(
    Usage,
    input_tokens=counts,
    cache_creation_input_tokens=counts,
    cache_read_input_tokens=counts,
    output_tokens=counts,
    cost_nano=counts,
)
budgets = st.builds(Budget, max_turns=limits, max_tokens=limits, max_cost_nano=limits, max_seconds=limits)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(max_turns=3), IncompleteReason.MAX_TURNS),
        (Budget(max_tokens=100), IncompleteReason.BUDGET_EXCEEDED),
        (Budget(max_cost_nano=70), IncompleteReason.BUDGET_EXCEEDED),
        (Budget(max_seconds=9), IncompleteReason.DEADLINE_EXCEEDED),
        (Budget(max_turns=4, max_tokens=101, max_cost_nano=71, max_seconds=10), None),
        (NO_LIMITS, None),
    ],
)
def test_a_limit_that_is_reached_ends_the_job(budget: Budget, reason: IncompleteReason | None) -> None:
    used = Usage(
        input_tokens=40, cache_creation_input_tokens=30, cache_read_input_tokens=20, output_tokens=10, cost_nano=70
    )
    assert exhausted(budget, used, turns=3, seconds=9) == reason


@given(used=usages, turns=counts, seconds=st.floats(0, 1e9))
def test_without_limits_a_job_goes_on_for_ever(used: Usage, turns: int, seconds: float) -> None:
    assert exhausted(NO_LIMITS, used, turns=turns, seconds=seconds) is None


@given(budget=budgets)
def test_a_fresh_job_may_have_one_turn(budget: Budget) -> None:
    assert exhausted(budget, Usage(), turns=0, seconds=0) is None


@given(budget=budgets, used=usages, more=usages, turns=counts, seconds=st.floats(0, 1e9))
def test_what_is_used_up_stays_used_up(budget: Budget, used: Usage, more: Usage, turns: int, seconds: float) -> None:
    if exhausted(budget, used, turns=turns, seconds=seconds):
        assert exhausted(budget, used + more, turns=turns + 1, seconds=seconds + 1)


@given(budget=budgets, used=usages, at_most=st.integers(1, 100_000))
def test_an_answer_is_never_longer_than_the_agents_limit_or_what_is_left(
    budget: Budget, used: Usage, at_most: int
) -> None:
    allowance = output_allowance(budget, used, at_most)
    assert 1 <= allowance <= at_most
    if budget.max_tokens is not None and used.total_tokens < budget.max_tokens:
        assert used.total_tokens + allowance <= budget.max_tokens
    if budget.max_tokens is None:
        assert allowance == at_most
