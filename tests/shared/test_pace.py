"""How long a job has to wait, by slots and by how long jobs keep them."""

import pytest

from shared import keys
from shared.inspector import Inspector
from shared.job import WaitReason
from shared.pace import Pace, Place
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from shared.submission import Caps
from tests.shared.queueing import claimed, fall_silent, fleet, submitted, sweep


def pace(*, waiting: int = 0, running: int = 0, slots: int = 0, busy_ms: int | None = None) -> Pace:
    return Pace(waiting, running, slots, busy_ms, 0)


@pytest.mark.parametrize(
    ("ahead", "now", "seconds"),
    [
        (0, pace(running=0, slots=1), 0),
        (3, pace(running=6, slots=10), 0),
        (4, pace(running=6, slots=10, busy_ms=1000), 0.1),
        (0, pace(running=10, slots=10, busy_ms=1000), 0.1),
        (99, pace(running=10, slots=10, busy_ms=1000), 10),
        (0, pace(running=10, slots=10), None),
        (0, pace(slots=0, busy_ms=1000), None),
    ],
)
def test_a_wait_is_what_is_ahead_by_the_rate_of_slots(ahead: int, now: Pace, seconds: float | None) -> None:
    assert now.wait_seconds(ahead) == (None if seconds is None else pytest.approx(seconds))


def test_a_tenants_own_cap_may_make_it_longer() -> None:
    now = pace(running=3, slots=100, busy_ms=1000)

    assert Place(ahead=5, running=2, cap=2).wait_seconds(now) == pytest.approx(3)
    assert Place(ahead=5, running=0, cap=50).wait_seconds(now) == 0


@pytest.mark.parametrize(
    ("place", "seconds"),
    [
        (Place(ahead=0, behind=1), 1),  # the live one runs
        (Place(ahead=2, behind=3), 3),
        (Place(ahead=5, behind=2), 2),  # the live one starts at once
        (Place(ahead=102, behind=2), 2.1),  # it waits for a slot
        (Place(ahead=5, behind=-1), None),  # it waits for something else
    ],
)
def test_the_jobs_of_a_session_wait_for_each_other(place: Place, seconds: float | None) -> None:
    now = pace(running=90, slots=100, busy_ms=1000)

    assert place.wait_seconds(now) == (None if seconds is None else pytest.approx(seconds, abs=1))
    assert Place(ahead=0, behind=1).wait_seconds(pace(slots=100)) is None


async def test_the_time_in_slots_is_learned_from_jobs_that_end(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000)
    job_id = await submitted(queue)
    for _ in range(2):
        await claimed(queue, "a")
        await redis.hincrby(keys.job(job_id), "claimed_ms", -3000)  # it took three seconds
        await queue.release("a", job_id, WaitReason.RATE_LIMIT)
    await fleet(redis, "a").enlist(10)
    await sweep(redis)
    await claimed(queue, "a")
    await queue.finish("a", job_id, Conclusion(Event.SUCCEED, output="done"))

    now = await Inspector(redis).pace()

    assert now.busy_ms is not None
    assert 6000 <= now.busy_ms < 7000, "all the times it kept a slot, not the time it was parked"
    assert now.drain_rate == pytest.approx(10 / now.busy_ms * 1000)


async def test_only_the_slots_of_the_living_count(redis: Redis) -> None:
    for owner in ("a", "b", "gone"):
        await fleet(redis, owner).enlist(7)
    assert await fleet(redis, "a").beat(0), "it drains"
    await fall_silent(redis, "gone", seconds=20)
    await sweep(redis, judge=False)

    assert (await Inspector(redis).pace()).slots == 7


async def test_a_place_counts_what_other_tenants_slip_in_between(redis: Redis) -> None:
    queue, inspector = Queue(redis, retention_ms=60_000), Inspector(redis)
    for _ in range(20):
        await submitted(queue, "flood")
    first, second = await submitted(queue, "acme"), await submitted(queue, "acme")
    last = await submitted(queue, "flood")

    async def ahead(job_id: str, tenant: str) -> int:
        sighting = await inspector.job(job_id, tenant=tenant)
        assert sighting is not None
        assert sighting.place is not None
        return sighting.place.ahead

    assert await ahead(first, "acme") == 1
    assert await ahead(second, "acme") == 3
    assert await ahead(last, "flood") == 22, "not more than there is"


async def test_a_capped_tenant_reads_its_own_wait(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000)
    jobs = [await submitted(queue, "acme", caps=Caps(max_running=1)) for _ in range(3)]
    await claimed(queue, "a", 5)

    sighting = await Inspector(redis).job(jobs[2], tenant="acme")

    assert sighting is not None
    assert sighting.place == Place(ahead=1, running=1, cap=1)
