"""Which headers are worth telling the gate, and how soon."""

from collections.abc import Mapping

import pytest

from shared.headers_seen import AS_EXPECTED_SECONDS, LESS_SECONDS, TOLD_WITHIN_SECONDS, levels_told_within
from shared.pool import Asker, Call, Headroom, Limits, Pool, Reservation

POOL = Pool("sonnet", Limits(600, 600_000, 600_000, 10))
LIMIT = {"requests": 600, "input": 600_000, "output": 600_000}
LEAVES = {"requests": 10, "input": 10_000, "output": 20_000}
AT_ONCE, NOT_AT_ALL = 0.0, None


def within(
    remaining: Mapping[str, int], heard_ago: float, *, counted: int = 90, leaves: object = LEAVES
) -> float | None:
    """Of a call for which 90 tokens of input were reserved."""
    call = Call(Asker("assistant"), characters=300, max_output_tokens=100)
    assert isinstance(leaves, dict)
    reservation = Reservation("call_1", POOL, call, 90, 50, "", leaves=leaves)
    return levels_told_within(reservation, Headroom(LIMIT, remaining, counted), heard_ago)


@pytest.mark.parametrize(
    ("remaining", "counted", "told"),
    [
        ({"requests": 10, "input": 10_000, "output": 20_000}, 90, NOT_AT_ALL),
        ({"requests": 50, "input": 60_000, "output": 60_000}, 90, NOT_AT_ALL),
        ({"requests": 10, "input": 9_999}, 90, AT_ONCE),
        ({"requests": 9, "input": 10_000}, 90, AT_ONCE),
        ({"input": 9_910}, 180, NOT_AT_ALL),  # its own input is what is missing
        ({"input": 9_909}, 180, AT_ONCE),
        ({"output": 18_800}, 90, NOT_AT_ALL),  # how much has been said by now is a guess
        ({"output": 18_799}, 90, AT_ONCE),
    ],
)
def test_less_than_the_gate_thinks_is_told_at_once(remaining: dict[str, int], counted: int, told: float | None) -> None:
    assert within(remaining, LESS_SECONDS, counted=counted) == told


def test_somebody_has_just_told_so() -> None:
    assert within({"input": 0}, LESS_SECONDS - 0.001) is NOT_AT_ALL


def test_what_is_not_less_is_told_now_and_then() -> None:
    assert within({"input": 10_000}, AS_EXPECTED_SECONDS - 0.001) is NOT_AT_ALL
    assert within({"input": 10_000}, AS_EXPECTED_SECONDS) == TOLD_WITHIN_SECONDS


def test_plenty_is_no_news() -> None:
    assert within({"requests": 600, "input": 600_000}, 3600) is NOT_AT_ALL


def test_a_debt_is_expected_where_the_gate_believes_in_one() -> None:
    assert within({"input": 0}, LESS_SECONDS, leaves={"input": -5_000}) is NOT_AT_ALL


def test_what_the_gate_did_not_say_is_told_at_once() -> None:
    assert within({"input": 10_000}, LESS_SECONDS, leaves={}) == AT_ONCE
