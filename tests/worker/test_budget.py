"""What a job may still use: which limit ends it, and how long its next answer may be."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.job import Budget, IncompleteReason
from shared.usage import Usage
from worker.budget import LEAST_ANSWER, NextCall, OutOfBudget, exhausted, fitting_answer

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
    limit = exhausted(budget, used, turns=3, seconds=9)
    assert (limit.reason if limit else None) == reason
    assert limit is None or limit.message


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


# The next call


@dataclass(frozen=True)
class Prices:
    """Nano-dollars for a token; all are dearer once the input is larger than `step` tokens, as real ones are."""

    input: int
    output: int
    step: int
    dearer: int

    def __call__(self, input_tokens: int, output_tokens: int) -> int:
        price = self.input * input_tokens + self.output * output_tokens
        return price * self.dearer if input_tokens > self.step else price


prices = st.builds(
    Prices, st.integers(0, 10**5), st.integers(0, 10**5), step=st.integers(0, 300_000), dearer=st.integers(1, 3)
)
tokens = st.integers(0, 300_000)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[NextCall, int, int, bool]]:
    """Calls one after the other, at their worst; and what each really comes to: at most so much of its input, and of
    the answer it may give. Some break off, which are paid for, too."""
    asked = draw(st.lists(st.tuples(st.integers(1, 200_000), st.integers(1, 50_000), prices), min_size=1, max_size=12))
    shares = st.integers(0, 100)
    return [
        (NextCall(input_tokens, longest, price), draw(shares), draw(shares), draw(st.booleans()))
        for input_tokens, longest, price in asked
    ]


@given(
    budget=st.builds(
        Budget,
        max_tokens=st.none() | st.integers(1, 10**6),
        max_cost_nano=st.none() | st.integers(1, 10**10),
    ),
    calls=conversations(),
)
def test_no_limit_in_money_or_tokens_is_ever_passed(
    budget: Budget, calls: list[tuple[NextCall, int, int, bool]]
) -> None:
    used = Usage()
    for call, input_share, output_share, at_the_limit in calls:
        if exhausted(budget, used, turns=0, seconds=0):
            break
        try:
            longest = fitting_answer(budget, used, call)
        except OutOfBudget:
            continue  # a smaller call may still fit
        assert min(LEAST_ANSWER, call.longest) <= longest <= call.longest
        said = longest if at_the_limit else longest * output_share // 100
        read = call.input_tokens if at_the_limit else call.input_tokens * input_share // 100
        used += Usage(input_tokens=read, output_tokens=said, cost_nano=call.price(read, said))
        assert budget.max_tokens is None or used.total_tokens <= budget.max_tokens
        assert budget.max_cost_nano is None or used.cost_nano <= budget.max_cost_nano


@given(call=st.builds(NextCall, tokens, st.integers(1, 50_000), prices), nano=st.integers(0, 10**10), left=tokens)
def test_the_longest_answer_that_fits_is_the_longest(call: NextCall, nano: int, left: int) -> None:
    longest = call.longest_within(nano=nano, tokens=left)
    if longest >= 0:
        assert call.cost(longest) <= nano
        assert call.tokens(longest) <= left
    if -1 <= longest < call.longest:
        assert call.cost(longest + 1) > nano or call.tokens(longest + 1) > left


def cheap(input_tokens: int, output_tokens: int) -> int:
    return 3 * input_tokens + 15 * output_tokens


CALL = NextCall(1000, 4096, cheap)


@pytest.mark.parametrize(
    ("limits", "longest"),
    [
        ({}, 4096),
        ({"max_tokens": 1600}, 500),
        ({"max_tokens": 1200}, 100),
        ({"max_cost_nano": 3000 + 15 * 700 + 14 + 7}, 700),
        ({"max_cost_nano": 3000 + 15 * 700 + 7, "max_tokens": 1600}, 500),
        ({"max_cost_nano": 10**6}, 4096),
    ],
)
def test_an_answer_is_as_long_as_what_is_left_pays_for(limits: dict[str, Any], longest: int) -> None:
    used = Usage(input_tokens=60, output_tokens=40, cost_nano=7)
    assert fitting_answer(Budget(**limits), used, CALL) == longest


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_tokens": 1199}, "may use 1100 tokens even with a short answer, and 1099 are left of the 1199"),
        ({"max_cost_nano": 4506}, "may cost 0.000005 dollars even with a short answer, and 0.000004 are left"),
    ],
)
def test_what_does_not_pay_for_a_useful_answer_pays_for_none(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(OutOfBudget, match=said) as none:
        fitting_answer(Budget(**limits), Usage(input_tokens=60, output_tokens=40, cost_nano=7), CALL)
    assert none.value.wait is None


def test_an_agent_that_answers_in_a_word_needs_no_more() -> None:
    assert fitting_answer(Budget(max_tokens=1001), Usage(), NextCall(1000, 1, cheap)) == 1
