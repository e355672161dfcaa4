"""For how long a job is parked: until its provider may be tried, or until there will be room, as far as one knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from shared.errors import NoRoomYet
from shared.job import IncompleteReason, WaitReason
from shared.pool import Limits, Pool
from shared.queue import Conclusion
from shared.turn import Transcript
from worker.budget import OutOfBudget
from worker.provider import ProviderBusy, ProviderDown, ProviderError
from worker.release import Release, without_answer, without_money, without_room

POOL = Pool("sonnet", Limits(requests=600, input=600_000, output=60_000, in_flight=10))


@dataclass
class Waiting:
    parks: int = 0
    left: float | None = None
    pools: Mapping[str, Pool] = field(default_factory=lambda: {"sonnet": POOL})

    def seconds_left(self) -> float | None:
        return self.left


class Gate:
    """What the gate says of its breaker."""

    def __init__(self, breaker: str = "closed", shut_ms: float = 0) -> None:
        self.seen = {"breaker": breaker, "shut_ms": shut_ms}

    async def look(self, pool: Pool) -> dict[str, Any]:
        assert pool is POOL
        return self.seen


def no_room(seconds: float, *, outage: bool) -> NoRoomYet:
    error = NoRoomYet(seconds, outage=outage)
    error.pool = "sonnet"
    return error


async def after(error: ProviderError, gate: Gate, waiting: Waiting | None = None) -> Release:
    error.pool = "sonnet"
    return await without_answer(error, waiting or Waiting(), cast(Any, gate))


def test_in_an_outage_one_comes_when_the_provider_is_tried_and_the_others_later() -> None:
    release = without_room(no_room(40, outage=True), Waiting(parks=9))

    assert (release.reason, release.pool) == (WaitReason.PROVIDER_OUTAGE, "sonnet")
    assert release.delay_seconds == 40
    assert 40 <= release.behind_seconds <= 100


def test_the_others_do_not_all_come_at_once() -> None:
    behind = [without_room(no_room(40, outage=True), Waiting()).behind_seconds for _ in range(600)]
    by_tens = [sum(start <= seconds < start + 10 for seconds in behind) for start in range(40, 100, 10)]
    assert sum(by_tens) == 600
    assert max(by_tens) < 200, "a hundred each, but for chance"


def test_while_one_is_trying_the_next_look_is_a_little_later() -> None:
    assert without_room(no_room(0, outage=True), Waiting()).delay_seconds == 5


@pytest.mark.parametrize("parks", [0, 9])
def test_without_room_it_comes_when_there_will_be_some(parks: int) -> None:
    release = without_room(no_room(45, outage=False), Waiting(parks))

    assert (release.reason, release.pool) == (WaitReason.RATE_LIMIT, "")
    assert 45 <= release.delay_seconds <= 54


@pytest.mark.parametrize(("parks", "least"), [(0, 5), (1, 10), (2, 20), (3, 30), (9, 30)])
def test_who_was_told_wrong_waits_longer_each_time(parks: int, least: float) -> None:
    """It had waited for so long as it could, for room that was to come soon."""
    release = without_room(no_room(2, outage=False), Waiting(parks))
    assert least <= release.delay_seconds <= 1.2 * least


async def test_after_its_attempts_it_comes_when_the_breaker_lets_somebody_try() -> None:
    release = await after(ProviderDown("?", type="overloaded_error"), Gate("open", 17_000), Waiting(parks=9))

    assert (release.reason, release.pool) == (WaitReason.PROVIDER_OUTAGE, "sonnet")
    assert release.delay_seconds == 17


async def test_a_provider_that_fails_only_this_job_is_tried_again_the_later_the_more_often() -> None:
    release = await after(ProviderDown("?", type="overloaded_error"), Gate(), Waiting(parks=1))

    assert (release.reason, release.pool) == (WaitReason.PROVIDER_OUTAGE, "")
    assert 10 <= release.delay_seconds <= 12


async def test_a_time_that_the_provider_names_is_kept() -> None:
    busy = await after(ProviderBusy("?", type="rate_limit_error", retry_after=3000), Gate("open", 1000))
    down = await after(ProviderDown("?", type="overloaded_error", retry_after=50), Gate("open", 1000))

    assert busy.reason == WaitReason.RATE_LIMIT
    assert 3000 <= busy.delay_seconds <= 3060, "and those who keep it come within a minute"
    assert down.delay_seconds == 50


async def test_a_cap_on_spending_is_an_outage() -> None:
    release = await after(ProviderBusy("?", type="rate_limit_error"), Gate("open", 9000))
    assert (release.reason, release.delay_seconds) == (WaitReason.PROVIDER_OUTAGE, 9)


@pytest.mark.parametrize("outage", [True, False])
async def test_no_pause_outlasts_what_the_job_has_left(outage: bool) -> None:
    release = without_room(no_room(45, outage=outage), Waiting(left=3))
    assert release.delay_seconds == 3
    assert release.behind_seconds == (3 if outage else 0)


# Without money


def out_of(wait: float | None, left: float | None, *, in_flight: bool = False) -> Release | Conclusion:
    error = OutOfBudget("Too dear.", wait=wait, in_flight=in_flight)
    return without_money(error, Waiting(left=left), Transcript("Go.", []))


@pytest.mark.parametrize("left", [None, 40_000])
def test_who_may_live_to_see_the_new_day_waits_for_it(left: float | None) -> None:
    waits = out_of(30_000, left)
    assert isinstance(waits, Release)
    assert waits.reason == WaitReason.TENANT_BUDGET
    assert 30_000 <= waits.delay_seconds <= 30_060, "not all at midnight sharp"


def test_others_end_at_once_with_what_they_have() -> None:
    ended = out_of(30_000, 3600)
    assert isinstance(ended, Conclusion)
    assert (ended.incomplete, ended.message) == (IncompleteReason.BUDGET_EXCEEDED, "Too dear.")
    assert isinstance(out_of(None, None), Conclusion), "for its own limit no time helps"


def test_what_others_have_in_flight_is_waited_for_a_moment() -> None:
    waits = out_of(30_000, 3600, in_flight=True)
    assert isinstance(waits, Release)
    assert waits.reason == WaitReason.TENANT_BUDGET
    assert 0 < waits.delay_seconds < 60
