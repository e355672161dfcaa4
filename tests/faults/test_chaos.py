"""A short chaos run: every kind of fault at least once, and every promise kept. The long one is `make faults`."""

import pytest

from tests.faults.chaos.report import complaints, table
from tests.faults.chaos.run import Order, run


@pytest.mark.slow
async def test_every_promise_is_kept_while_everything_breaks() -> None:
    outcome = await run(Order(seed=1, jobs=120, workers=3), say=print)
    print(table(outcome))
    assert outcome.kept, f"\n{complaints(outcome)}"
    assert sum(outcome.struck.values()) > 10, "a run in which little broke proves little"
