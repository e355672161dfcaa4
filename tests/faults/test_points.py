"""A worker killed where it matters most, for each way to be careful. Every point: `make faults`, docs/durability.md."""

import pytest

from tests.faults.points.cases import CAREFUL, Case, Sight
from tests.faults.points.page import PAGE, cells, deaths
from tests.faults.points.run import shooting_range

_AROUND_THE_CALL = (
    "before saving the intent of the irreversible call",
    "after saving the intent of the irreversible call",
    "before the irreversible call",
    "after the irreversible call",
    "before saving the result of the irreversible call",
    "after saving the result of the irreversible call",
)
_ELSEWHERE = (
    "before the model's turn 2",
    "after the model's turn 2",
    "after saving turn 2",
    "after the idempotent call",
    "after writing the end",
    "after the claim",
    "before hearing a message",
    "after hearing a message",
    "after setting money aside in turn 2",
    "before entering the gate in turn 3",
    "after entering the gate in turn 3",
    "before leaving the gate in turn 3",
    "after leaving the gate in turn 3",
    "before telling followers",
    "after telling followers",
    "before giving it back",
    "after giving it back",
)
_ASKING = ("before writing the question", "after writing the question")


@pytest.mark.slow
def test_wherever_its_worker_dies_every_effect_happens_once_and_no_finished_turn_is_bought_again() -> None:
    cases = [Case.of(tool, point) for tool in CAREFUL for point in _AROUND_THE_CALL]
    cases += [Case.of("pay", point) for point in _ELSEWHERE]
    cases += [Case.of("shred", point) for point in _ASKING]
    with shooting_range(workers=6) as place:
        sights = place.shoot(cases)

    assert [complaint for sight in sights for complaint in sight.complaints()] == []
    shown = cells()
    changed = [sight for sight in sights if shown.get((sight.case.tool, sight.case.point)) != sight.cell()]
    assert not changed, "docs/durability.md says otherwise; run: make faults"


def test_the_readme_counts_the_deaths_of_the_table() -> None:
    assert f"{deaths()} deaths" in (PAGE.parents[1] / "README.md").read_text("utf-8")


def sight(**fields: object) -> Sight:
    good = {
        "case": Case("pay", "after the irreversible call", ""),
        "job_id": "job",
        "status": "succeeded",
        "runs": {"look": 1, "file": 1, "pay": 1},
        "effects": {"look": 1, "file": 1, "pay": 1},
        "bought": 4,
        "said": ("done",),
        "died": True,
        "receipts": {"a": 1, "b": 1, "c": 1},
    }
    return Sight(**(good | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"status": "failed"}, "it ended failed"),
        ({"died": False}, "its worker did not die there"),
        ({"bought": 5}, "5 turns were bought"),
        ({"bought": 3}, "3 turns were bought"),
        ({"runs": {"look": 1, "file": 1, "pay": 2}}, "what must not run twice ran 2 times"),
        ({"effects": {"look": 1, "file": 2, "pay": 1}}, "effects seen: {'look': 1, 'file': 2, 'pay': 1}"),
        ({"receipts": {"a": 1, "b": 2, "c": 1}}, "receipts: {'a': 1, 'b': 2, 'c': 1}"),
    ],
)
def test_each_promise_can_be_seen_to_be_broken(fields: dict[str, object], complaint: str) -> None:
    assert sight().complaints() == []
    assert sight(**fields).complaints() == [f"pay, after the irreversible call: {complaint}"]
