"""The scenarios as data: each can be made to happen, and is the same in a shorter time."""

import pytest

from bench.gate.budget import Budget
from bench.gate.scenario import Callers, Foreign, Kill, NewLimits, Outage, Scenario, Trickle, mistakes
from bench.gate.scenarios import BY_NAME, SCENARIOS, WIDE

EVERYBODY = (Callers("one", each=3),)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("scale", [1, 0.25])
def test_everything_can_happen(scenario: Scenario, scale: float) -> None:
    assert not mistakes(scenario.scaled(scale))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"events": (NewLimits(at=5, factor=2),)}, "outside of the measured part"),
        ({"events": (Outage(at=30, seconds=6),)}, "outside of the measured part"),
        ({"events": (Kill(at=15, workers=tuple(range(8))),)}, "leaves nobody"),
        ({"events": (Foreign(at=15, share=1), NewLimits(at=15, factor=2))}, "two events at once"),
        ({"joins": dict.fromkeys(range(8), 15.0)}, "nobody begins"),
    ],
)
def test_what_cannot_is_told(changes: dict[str, object], said: str) -> None:
    [mistake] = mistakes(Scenario("x", "X", "", EVERYBODY, WIDE, **changes))  # type: ignore[arg-type]
    assert said in mistake


def test_another_time_leaves_rates_and_shares_alone() -> None:
    scenario = Scenario(
        "x",
        "X",
        "",
        EVERYBODY,
        WIDE,
        events=(Foreign(at=16, share=0.5), Outage(at=20, seconds=8), Kill(at=30, workers=(1,))),
        joins={7: 20.0},
    )
    half = scenario.scaled(0.5)
    assert half.events == (Foreign(at=8, share=0.5), Outage(at=10, seconds=4), Kill(at=15, workers=(1,)))
    assert (half.warm_seconds, half.seconds, half.joins, half.budget) == (6, 18, {7: 10.0}, WIDE)


def test_what_callers_believe_is_the_truth_unless_said_otherwise() -> None:
    assert BY_NAME["saturated"].told == BY_NAME["saturated"].budget
    wrong = BY_NAME["wrong_burst"]
    assert wrong.told.burst_seconds == 10 * wrong.budget.burst_seconds
    assert wrong.told.limits() == wrong.budget.limits()


def test_only_closed_loops_share_equally() -> None:
    load = (Callers("a", each=1), Callers("b", each=1, workers=(0,)), Trickle("i", per_second=1, workers=(0, 1)))
    scenario = Scenario("x", "X", "", load, WIDE)
    assert (scenario.tenants, scenario.interactive) == (("a", "b"), ("i",))
    assert [len(scenario.of_worker(number)) for number in (0, 1, 2)] == [3, 2, 1]


def test_a_budget_per_minute_in_seconds() -> None:
    budget = Budget(requests=60, input_tokens=6_000, output_tokens=600, burst_seconds=6)
    assert budget.burst == 0.1
    assert budget.worth(3) == (3, 300, 30)
    assert budget.times(0.5).limits() == (30, 3_000, 300)
    assert budget.times(0.5).burst_seconds == 6
