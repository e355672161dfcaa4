"""The buckets against a clock that is turned by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.provider.buckets import Bucket
from local.provider.limits import Limits
from tests.local.hand_clock import HandClock


def limits(clock: HandClock, *, requests=60, inputs=6_000, outputs=600, burst=1.0, charge=False) -> Limits:
    return Limits(requests, inputs, outputs, burst, charge, clock)


def test_a_bucket_starts_full_and_refills_continuously():
    clock = HandClock()
    bucket = Bucket(60, 1.0, clock)
    bucket.take(60)
    clock.seconds = 0.5
    assert bucket.level() == pytest.approx(0.5)
    clock.seconds = 1_000
    assert bucket.level() == 60


def test_burst_is_the_capacity():
    clock = HandClock()
    bucket = Bucket(600, 0.1, clock)
    assert bucket.capacity == 60
    assert bucket.rate == 10


def test_a_call_is_refused_by_the_bucket_that_waits_longest():
    clock = HandClock()
    pool = limits(clock)
    assert pool.admit(5_990) is None
    refusal = pool.admit(500)
    assert refusal is not None
    assert (refusal.dimension, refusal.limit, refusal.retry_after) == ("input_tokens", 6_000, 5)
    clock.seconds = 4.89
    assert pool.admit(500) is not None
    clock.seconds = 4.91
    assert pool.admit(500) is None


def test_a_refused_call_costs_nothing():
    clock = HandClock()
    pool = limits(clock, requests=2)
    assert pool.admit(1) is None
    assert pool.admit(7_000) is not None
    assert pool.admit(1) is None


def test_a_refused_call_costs_a_request_when_so_set():
    clock = HandClock()
    pool = limits(clock, requests=2, charge=True)
    assert pool.admit(1) is None
    assert pool.admit(7_000) is not None
    assert pool.admit(1) is not None


def test_output_goes_into_debt_and_later_calls_wait_it_out():
    clock = HandClock()
    pool = limits(clock, outputs=600)
    assert pool.admit(1) is None
    pool.produce(700)
    refusal = pool.admit(1)
    assert refusal is not None
    assert (refusal.dimension, refusal.retry_after) == ("output_tokens", 10)
    clock.seconds = 10.0
    assert pool.admit(1) is not None, "a level of zero is not above zero"
    clock.seconds = 10.01
    assert pool.admit(1) is None


def test_a_call_above_the_burst_passes_a_full_bucket_and_leaves_a_debt():
    clock = HandClock()
    pool = limits(clock, inputs=6_000, burst=0.1)
    assert pool.admit(1_000) is None
    assert pool.input_tokens.level() == -400


def test_a_call_above_the_limit_per_minute_never_passes():
    clock = HandClock()
    pool = limits(clock, inputs=6_000)
    for _ in range(3):
        refusal = pool.admit(6_001)
        assert refusal is not None
        assert refusal.dimension == "input_tokens"
        clock.seconds += 60


steps = st.lists(
    st.tuples(
        st.floats(0, 30, allow_nan=False),  # seconds that pass
        st.integers(1, 4_000),  # input tokens of the next call
        st.integers(0, 400),  # its output tokens
    ),
    max_size=60,
)


@given(steps)
def test_no_dimension_ever_gives_more_than_burst_and_refill(moves):
    clock = HandClock()
    pool = limits(clock, requests=30)
    admitted = inputs = outputs = 0
    for seconds, input_tokens, output_tokens in moves:
        clock.seconds += seconds
        before_outputs = outputs
        if pool.admit(input_tokens) is None:
            admitted, inputs, outputs = admitted + 1, inputs + input_tokens, outputs + output_tokens
            pool.produce(output_tokens)
            assert before_outputs < 600 + clock.seconds * 10 + 1e-6
        assert admitted <= 30 + clock.seconds * 0.5 + 1e-6
        assert inputs <= 6_000 + clock.seconds * 100 + 1e-6


@given(steps)
def test_the_level_follows_the_exact_model(moves):
    clock = HandClock()
    bucket = Bucket(6_000, 0.5, clock)
    level = 3_000.0
    for seconds, amount, _ in moves:
        clock.seconds += seconds
        level = min(3_000.0, level + seconds * 100)
        assert bucket.level() == pytest.approx(level, abs=1e-6)
        bucket.take(amount)
        level -= amount
        assert bucket.level() <= bucket.capacity


@given(steps)
def test_retry_after_is_enough_and_a_second_less_is_not(moves):
    clock = HandClock()
    pool = limits(clock, requests=30)
    for seconds, input_tokens, output_tokens in moves:
        clock.seconds += seconds
        refusal = pool.admit(input_tokens)
        if refusal is None:
            pool.produce(output_tokens)
            continue
        assert refusal.retry_after >= 1
        waited = clock.seconds + refusal.retry_after
        clock.seconds = math.nextafter(waited - 1, 0) - 1e-6
        if refusal.retry_after > 1:
            assert pool.admit(input_tokens) is not None
        clock.seconds = waited + 1e-6
        assert pool.admit(input_tokens) is None
