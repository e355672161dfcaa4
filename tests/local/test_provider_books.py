"""The books of the limits: they add up, whatever happens, and a foreign user and changed limits act at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.provider.buckets import Bucket
from local.provider.limits import ForeignUse, Gulp, Limits, LimitsChange
from tests.local.hand_clock import HandClock


def assert_adds_up(books: dict[str, float]) -> None:
    out = sum(books[name] for name in ("spilled", "foreign", "gulped", "used", "charged", "clamped"))
    assert books["level"] == pytest.approx(books["began"] + books["refilled"] - out, abs=1e-6)
    assert books["level"] <= books["capacity"]


def test_what_finds_the_bucket_full_is_spilled():
    clock = HandClock()
    bucket = Bucket(60, 0.5, clock)
    bucket.take(10)
    clock.seconds = 25
    books = bucket.books()
    assert (books["refilled"], books["spilled"], books["used"], books["level"]) == (25, 15, 10, 30)


def test_a_foreign_user_takes_its_share_of_every_refill_until_it_is_ended():
    clock = HandClock()
    bucket = Bucket(60, 1, clock)
    bucket.take(60)
    bucket.share(0.25)
    clock.seconds = 20
    assert bucket.level() == pytest.approx(15)
    bucket.share(0)
    clock.seconds = 30
    assert bucket.level() == pytest.approx(25)
    assert bucket.books()["foreign"] == pytest.approx(5)


def test_a_gulp_takes_what_there_is_and_never_makes_debts():
    bucket = Bucket(60, 1, HandClock())
    bucket.gulp(50)
    bucket.gulp(50)
    assert (bucket.level(), bucket.books()["gulped"]) == (0, 60)
    bucket.take(5)
    bucket.gulp(1)
    assert bucket.level() == -5


def test_a_new_limit_counts_from_now_on_and_levels_are_cut_to_it():
    clock = HandClock()
    bucket = Bucket(60, 1, clock)
    bucket.take(20)
    clock.seconds = 10
    bucket.change(30, 1)
    assert (bucket.level(), bucket.books()["clamped"]) == (30, 20)
    bucket.take(30)
    clock.seconds = 20
    assert bucket.level() == pytest.approx(5)
    bucket.change(600, 0.1)
    assert bucket.level() == pytest.approx(5), "a higher limit fills nothing at once"
    assert bucket.capacity == 60


def test_what_a_change_leaves_out_stays():
    clock = HandClock()
    limits = Limits(60, 6_000, 600, 0.5, False, clock)
    limits.change(LimitsChange(input_tokens_per_minute=1_200))
    assert (limits.requests.limit, limits.input_tokens.limit, limits.output_tokens.limit) == (60, 1_200, 600)
    assert (limits.requests.capacity, limits.input_tokens.capacity) == (30, 600)
    limits.change(LimitsChange(burst=0.1))
    assert (limits.requests.capacity, limits.input_tokens.capacity, limits.output_tokens.capacity) == (6, 120, 60)


def test_a_429_can_begin_to_cost_a_request_in_mid_run():
    limits = Limits(60, 6_000, 600, 1, False, HandClock())
    assert limits.admit(7_000) is not None
    limits.change(LimitsChange(charge_refused=True))
    assert limits.admit(7_000) is not None
    books = limits.books()["requests"]
    assert (books["used"], books["charged"], books["level"]) == (0, 1, 59)


def test_a_share_left_out_goes_on():
    clock = HandClock()
    limits = Limits(60, 6_000, 600, 1, False, clock)
    limits.let_in(ForeignUse(share=0.5))
    limits.let_in(ForeignUse(gulp=Gulp(requests=60)))
    clock.seconds = 10
    assert limits.requests.level() == pytest.approx(5)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 50)),
        st.tuples(st.sampled_from(["take", "charge", "gulp"]), st.floats(0, 200)),
        st.tuples(st.just("share"), st.floats(0, 1)),
        st.tuples(st.just("change"), st.floats(1, 300)),
    ),
    max_size=60,
)


@given(moves)
def test_the_books_add_up_whatever_happens(steps):
    clock = HandClock()
    bucket = Bucket(120, 0.5, clock)
    for what, amount in steps:
        match what:
            case "wait":
                clock.seconds += amount
            case "change":
                bucket.change(amount, 0.5)
            case _:
                getattr(bucket, what)(amount)
        assert_adds_up(bucket.books())
