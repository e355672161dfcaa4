"""Coming to a gate by oneself: the soonest visit counts, on both kinds of loops."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from shared.pool import Limits, Pool
from shared.visits import Visits
from tests.waiting import until

Run = Callable[[Coroutine[Any, Any, None]], None]

POOL = Pool("sonnet", Limits(1, 1, 1, 1))
OTHER = Pool("haiku", Limits(1, 1, 1, 1))


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """A worker has a uvloop, whose handles know less."""
    by: Run = request.param
    return by


def test_the_soonest_is_the_one_that_is_made(run: Run) -> None:
    async def ask() -> None:
        came: list[Pool] = []
        visits = Visits(came.append)
        for seconds in (3600, 0.01, 0, 0, 0.0001, 3600):
            visits.within(POOL, seconds)
        visits.within(OTHER, 0.02)
        await until(lambda: OTHER in came)
        assert came == [POOL, OTHER]

    run(ask())


def test_the_next_one_is_asked_for_anew(run: Run) -> None:
    async def ask() -> None:
        came: list[Pool] = []
        visits = Visits(came.append)
        for count in (1, 2):
            visits.within(POOL, 0)
            await until(lambda count=count: len(came) == count)

    run(ask())


def test_one_that_is_called_off_is_not_made(run: Run) -> None:
    async def ask() -> None:
        came: list[Pool] = []
        visits = Visits(came.append)
        for seconds in (0, 0.01):
            visits.within(POOL, seconds)
            visits.call_off(POOL)
        visits.call_off(POOL)
        visits.within(POOL, 3600)
        visits.within(OTHER, 0.02)
        await until(lambda: OTHER in came)
        assert came == [OTHER]

    run(ask())
