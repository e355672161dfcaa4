"""The books: sums are exact, and money is shown rounded half up."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.usage import NANO, USAGE_FIELDS, Usage, dollars

counts = st.integers(0, 10**15)
usages = st.builds(Usage, *[counts] * len(USAGE_FIELDS))


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (0, "0.000000"),
        (499, "0.000000"),
        (500, "0.000001"),
        (1_234_567, "0.001235"),
        (NANO, "1.000000"),
        (999_999_500, "1.000000"),
        (123_456_789_000_000, "123456.789000"),
    ],
)
def test_dollars_have_six_places(nano: int, shown: str) -> None:
    assert dollars(nano) == shown


@given(nano=st.integers(0, 10**18))
def test_dollars_are_rounded_half_up(nano: int) -> None:
    exact = Decimal(nano) / NANO
    assert Decimal(dollars(nano)) == exact.quantize(Decimal("0.000001"), ROUND_HALF_UP)


@given(several=st.lists(usages, max_size=5))
def test_a_sum_adds_each_counter_exactly(several: list[Usage]) -> None:
    total = sum(several, Usage())
    for name in USAGE_FIELDS:
        assert getattr(total, name) == sum(getattr(one, name) for one in several)


@given(a=usages, b=usages, c=usages)
def test_the_order_of_a_sum_is_of_no_account(a: Usage, b: Usage, c: Usage) -> None:
    assert (a + b) + c == a + (c + b)


@given(used=usages)
def test_total_tokens_are_all_kinds(used: Usage) -> None:
    kinds = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    assert used.total_tokens == sum(getattr(used, kind) for kind in kinds)


@given(used=usages)
def test_counters_that_are_zero_are_left_out_and_nothing_is_lost(used: Usage) -> None:
    counters = used.as_counters()
    assert 0 not in counters.values()
    assert Usage(**counters) == used


def test_callers_see_dollars_and_no_nano_dollars() -> None:
    assert Usage(input_tokens=3, cost_nano=1_500_000).as_json() == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
        "model_calls": 0,
        "turns": 0,
        "tool_calls": 0,
        "cost_usd": "0.001500",
    }
