"""The verdicts: floor and goal, in both directions, and against peers that may not have been measured."""

import pytest

from bench.targets import TARGETS, Bound, Target, Verdict, best


def target(floor: Bound, goal: Bound) -> Target:
    return Target("rate", "drain", "rate", "drain", "/s", floor, goal)


LOW = target(Bound(3, at_most=True), Bound(1, at_most=True))
HIGH = target(Bound(100, at_most=False), Bound(200, at_most=False))
PEERS = target(Bound(1, at_most=False, of_peers=True), Bound(2, at_most=False, of_peers=True))


@pytest.mark.parametrize(
    ("one", "value", "verdict"),
    [
        (LOW, 1.0, Verdict.GOAL),
        (LOW, 3.0, Verdict.FLOOR),
        (LOW, 3.01, Verdict.MISSED),
        (HIGH, 200, Verdict.GOAL),
        (HIGH, 199.9, Verdict.FLOOR),
        (HIGH, 99.9, Verdict.MISSED),
        (HIGH, None, Verdict.UNKNOWN),
    ],
)
def test_verdicts(one: Target, value: float | None, verdict: Verdict) -> None:
    assert one.verdict(value) is verdict


@pytest.mark.parametrize(
    ("value", "peer", "verdict"),
    [
        (3000, 1500, Verdict.GOAL),
        (1500, 1500, Verdict.FLOOR),
        (1499, 1500, Verdict.MISSED),
        (1499, None, Verdict.UNKNOWN),
    ],
)
def test_verdicts_beside_the_best_peer(value: float, peer: float | None, verdict: Verdict) -> None:
    assert PEERS.verdict(value, peer) is verdict


def test_the_best_peer() -> None:
    assert best({"a": 1.0, "b": 2.0}, at_most=False) == 2.0
    assert best({"a": 1.0, "b": 2.0}, at_most=True) == 1.0
    assert best({}, at_most=True) is None


def test_every_goal_is_at_least_as_hard_as_its_floor() -> None:
    for one in TARGETS:
        goal, floor = one.goal.in_numbers(1.0), one.floor.in_numbers(1.0)
        assert goal is not None
        assert one.floor.meets(goal, 1.0), one.what
        assert floor is not None
