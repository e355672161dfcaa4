"""A fleet that always wants more than there is: all of the budget is used, and nothing is refused."""

import pytest

from shared.pool import Limits, Pool
from tests.properties.gate_fleet import Fleet, Load, exact_provider
from tests.shared.gating import Gates

SECONDS = 30
WARM_UP_SECONDS = 30


@pytest.mark.parametrize(
    ("binding", "limits", "load"),
    [
        ("requests", Limits(300, 10_000_000, 10_000_000, 1000), Load(30, 100, 100)),
        ("input", Limits(6000, 120_000, 10_000_000, 1000), Load(30, 1000, 100, spread=0.8)),
        ("output", Limits(6000, 10_000_000, 24_000, 1000), Load(40, 100, 200)),
        ("output", Limits(6000, 10_000_000, 24_000, 1000), Load(40, 100, 200, spread=0.8)),
        ("output", Limits(6000, 10_000_000, 8_000, 1000), Load(40, 100, 500)),
    ],
)
async def test_all_of_the_budget_is_used_and_nothing_refused(
    gates: Gates, binding: str, limits: Limits, load: Load
) -> None:
    pool = Pool("sonnet", limits)
    provider = exact_provider(gates, pool)
    fleet = Fleet(gates, pool, load, provider)
    await fleet.run(WARM_UP_SECONDS)
    refused, before, stock = provider.refused, fleet.produced(binding), provider.buckets[binding].now(gates.now)

    await fleet.run(SECONDS)

    assert provider.refused == refused == 0
    laid_by = provider.buckets[binding].now(gates.now) - stock
    share = (fleet.produced(binding) - before) / (getattr(limits, binding) / 60 * SECONDS - laid_by)
    assert share > 0.97
    seen = await gates.look(pool)
    assert seen[binding]["used"] == pytest.approx(fleet.produced(binding), rel=0.05), "the whole run was a minute"
