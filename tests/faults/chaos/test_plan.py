"""The plan of faults and the errands are functions of the seed, and hold what a run has to show."""

from tests.faults.chaos.errands import make_errands
from tests.faults.chaos.plan import LAST_STRIKE, Kind, Strike, make_plan


def plan(seed: int, jobs: int = 1000) -> list[Strike]:
    return make_plan(seed, jobs=jobs, workers=4, lease_seconds=5)


def test_the_same_seed_makes_the_same_run() -> None:
    assert plan(7) == plan(7)
    assert make_errands(7, 100) == make_errands(7, 100)


def test_another_seed_makes_another_run() -> None:
    assert plan(7) != plan(8)
    assert make_errands(7, 100) != make_errands(8, 100)


def test_every_kind_of_fault_falls_into_the_work_of_even_a_short_run() -> None:
    for seed in range(20):
        short = plan(seed, jobs=60)
        assert {strike.kind for strike in short} == set(Kind)
        assert 0 < short[0].after <= short[-1].after <= 60 * LAST_STRIKE


def test_a_worker_that_is_frozen_is_frozen_past_its_lease() -> None:
    frozen = [strike for seed in range(20) for strike in plan(seed) if strike.kind == Kind.FREEZE_WORKER]
    assert min(strike.seconds for strike in frozen) > 5


def test_the_errands_hold_what_is_to_be_tried() -> None:
    errands = make_errands(7, 1000)
    assert len({errand.key for errand in errands}) == len({errand.prompt[:200] for errand in errands}) == 1000
    assert {errand.tenant for errand in errands} == {"acme", "globex", "initech"}
    assert {errand.priority for errand in errands} == {"high", "standard", "low"}
    assert {errand.cancel_after for errand in errands} == {None, 0, 1, 2}
    assert sum(bool(errand.pays) for errand in errands) > 100
    assert sum(bool(errand.files) for errand in errands) > 100
