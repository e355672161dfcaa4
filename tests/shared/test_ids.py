"""Identifiers: in the order of time, never twice, and told apart from anything else."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import ids

GOOD = "job_019a2b3c-4d5e-7f60-8123-456789abcdef"
LAST_MOMENT = 2**48 - 1
moments = st.integers(0, LAST_MOMENT)


def time_of(job_id: str) -> int:
    return int(job_id.removeprefix("job_").replace("-", "")[:12], 16)


def test_ids_are_made_in_order() -> None:
    made = [ids.new_job_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_made_beside_each_other_differ() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids.new_job_id(), range(2000)))
    assert len(set(made)) == len(made)


def test_a_new_job_id_is_one() -> None:
    assert ids.is_job_id(ids.new_job_id())
    assert ids.is_job_id(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job_",
        GOOD + "\n",
        "\n" + GOOD,
        GOOD + " ",
        GOOD + "0",
        GOOD[:-1],
        GOOD.upper(),
        GOOD.replace("job_", "req_"),
        GOOD.removeprefix("job_"),
        GOOD.replace("-7f60", "-4f60"),
        GOOD.replace("-8123", "-c123"),
        GOOD.replace("-", ""),
        GOOD.replace("a", "g"),
        GOOD.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}", 1),
        f"{GOOD}:turns",
        f"x{GOOD}",
        "*",
    ],
)
def test_what_only_looks_like_a_job_id_is_none(text: str) -> None:
    assert not ids.is_job_id(text)


@given(text=st.text(max_size=50))
def test_no_other_text_is_a_job_id(text: str) -> None:
    assert not ids.is_job_id(text)


def test_the_bound_of_a_moment_lies_between_the_ids_before_and_after_it() -> None:
    made = ids.new_job_id()
    moment = time_of(made)
    assert ids.job_id_at(moment - 1) < ids.job_id_at(moment) <= made < ids.job_id_at(moment + 1)


@given(first=moments, second=moments)
def test_bounds_are_in_the_order_of_time(first: int, second: int) -> None:
    assert (ids.job_id_at(first) < ids.job_id_at(second)) == (first < second)


@given(moment=moments, rest=st.text("0123456789abcdef", min_size=17, max_size=17))
def test_a_bound_is_not_above_any_id_of_its_moment(moment: int, rest: str) -> None:
    job_id = f"{ids.job_id_at(moment)}-7{rest[:3]}-8{rest[3:6]}-{rest[5:]}"
    assert ids.is_job_id(job_id)
    assert time_of(job_id) == moment
    assert ids.job_id_at(moment) <= job_id
    if moment < LAST_MOMENT:
        assert job_id < ids.job_id_at(moment + 1)


def test_a_moment_before_the_epoch_is_the_epoch() -> None:
    assert ids.job_id_at(-300_000) == ids.job_id_at(0) == "job_00000000-0000"


@pytest.mark.parametrize(
    ("make", "prefix"), [(ids.new_request_id, "req_"), (ids.new_call_id, "call_"), (ids.new_job_id, "job_")]
)
def test_an_id_says_what_it_names(make: object, prefix: str) -> None:
    assert callable(make)
    first, second = make(), make()
    assert first.startswith(prefix)
    assert first != second


def test_a_worker_started_again_is_another_one() -> None:
    first, second = ids.new_worker_id(), ids.new_worker_id()
    assert first != second
    assert first.rpartition(":")[0] == second.rpartition(":")[0], "on the same host and in the same process"
