"""The order in which a chain's targets are asked."""

import random
from typing import Any, cast

import pytest

from shared import ids
from shared.pool import Limits, Pool
from shared.turn import ServedAs
from worker.chain import Chain
from worker.model_call import TargetClient

LIMITS = Limits(requests=600, input=600_000, output=60_000, in_flight=10)
TARGETS = tuple(
    TargetClient(name, "anthropic", name, Pool(name, LIMITS), cast(Any, None)) for name in ("one", "two", "three")
)


def names(targets: list[TargetClient]) -> list[str]:
    return [target.name for target in targets]


def chain(drill_percent: float = 0, count: int = 3) -> Chain:
    return Chain("default", TARGETS[:count], drill_percent)


def test_a_new_job_begins_at_the_first() -> None:
    assert names(chain().order("job_1", None)) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("last", "order"),
    [
        ("one", ["one", "two", "three"]),
        ("two", ["two", "one", "three"]),
        ("three", ["three", "one", "two"]),
        ("gone from the settings", ["one", "two", "three"]),
    ],
)
def test_a_conversation_stays_with_whom_it_was_with(last: str, order: list[str]) -> None:
    assert names(chain().order("job_1", last)) == order


def test_a_drill_begins_at_the_second_and_then_stays_where_it_was_served() -> None:
    assert names(chain(100).order("job_1", None)) == ["two", "one", "three"]
    assert names(chain(100).order("job_1", "one")) == ["one", "two", "three"], "it could not serve"
    assert names(chain(100).order("job_1", "three")) == ["three", "two", "one"]


def test_without_a_second_target_there_is_no_drill() -> None:
    assert names(chain(100, count=1).order("job_1", None)) == ["one"]
    assert chain(100, count=1).served_as(TARGETS[0], "job_1") == ServedAs.FIRST


def test_what_it_served_as() -> None:
    assert [chain().served_as(target, "job_1") for target in TARGETS] == ["first", "fallback", "fallback"]
    assert [chain(100).served_as(target, "job_1") for target in TARGETS] == ["first", "drill", "fallback"]


def test_a_drill_is_decided_by_the_jobs_id() -> None:
    fixed = [f"job_{number}" for number in range(20)]
    assert [one for one in fixed if chain(20).drills(one)] == ["job_4", "job_8", "job_10", "job_18"]
    assert all(chain(30).drills(one) for one in fixed if chain(20).drills(one)), "a higher share takes in the lower"


@pytest.mark.parametrize("percent", [0, 0.5, 5, 50, 100])
def test_drills_are_about_their_share(percent: float) -> None:
    seeded = random.Random(4)
    some = [f"job_0199{seeded.getrandbits(112):028x}" for _ in range(20_000)]
    drilled = sum(chain(percent).drills(one) for one in some) / len(some)
    assert drilled == pytest.approx(percent / 100, abs=0.01 if 0 < percent < 100 else 0)


def test_a_drill_does_not_go_by_the_time_in_an_id() -> None:
    """Ids made in one moment begin alike."""
    assert len({chain(50).drills(ids.new_job_id()) for _ in range(100)}) == 2
