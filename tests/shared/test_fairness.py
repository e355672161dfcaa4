"""Tenants share by weight, whatever their backlogs are; within a tenant priority is a head start that ages."""

from collections import Counter

import pytest

from shared import keys
from shared.job import Priority
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from shared.submission import Caps
from tests.shared.queueing import claimed, submitted

DONE = Conclusion(Event.SUCCEED, output="done")


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def tenants_of(redis: Redis, job_ids: list[str]) -> list[str]:
    return [await redis.hget(keys.job(job_id), "tenant") for job_id in job_ids]  # type: ignore[attr-defined]


async def served_one_by_one(queue: Queue, redis: Redis, count: int) -> list[str]:
    """Whose jobs one slot takes, one after the other."""
    order = []
    for _ in range(count):
        (job_id,) = await claimed(queue, "a")
        order += await tenants_of(redis, [job_id])
        await queue.finish("a", job_id, DONE)
    return order


async def test_the_only_job_of_one_tenant_does_not_wait_for_the_backlog_of_another(redis: Redis, queue: Queue) -> None:
    for _ in range(60):
        await submitted(queue, "flood")
    running = await claimed(queue, "a", 10)
    one = await submitted(queue, "acme")
    await queue.finish("a", running[0], DONE)

    assert await claimed(queue, "a") == [one]


async def test_a_slot_goes_round_even_when_nothing_else_runs(redis: Redis, queue: Queue) -> None:
    for tenant in ("flood", "flood", "flood", "flood", "acme", "globex"):
        await submitted(queue, tenant)

    order = await served_one_by_one(queue, redis, 6)

    assert sorted(order[:3]) == ["acme", "flood", "globex"]
    assert order[3:] == ["flood"] * 3


@pytest.mark.parametrize("slots", [1, 4, 8])
async def test_slots_are_shared_by_weight(redis: Redis, queue: Queue, slots: int) -> None:
    """With many slots by what runs, with one by turns."""
    for _ in range(40):
        await submitted(queue, "heavy", caps=Caps(weight=3))
        await submitted(queue, "light")
    if slots == 1:
        shares = Counter(await served_one_by_one(queue, redis, 40))
    else:
        shares = Counter(await tenants_of(redis, await claimed(queue, "a", slots)))

    assert shares["heavy"] == 3 * shares["light"]


async def test_who_was_away_has_saved_nothing_up(redis: Redis, queue: Queue) -> None:
    for _ in range(30):
        await submitted(queue, "busy")
    assert await served_one_by_one(queue, redis, 20) == ["busy"] * 20
    for _ in range(10):
        await submitted(queue, "late")

    order = await served_one_by_one(queue, redis, 10)

    assert Counter(order) == {"busy": 5, "late": 5}


async def test_a_tenant_at_its_cap_waits_and_goes_on_at_once_when_one_ends(redis: Redis, queue: Queue) -> None:
    jobs = [await submitted(queue, "acme", caps=Caps(max_running=2)) for _ in range(4)]
    assert await claimed(queue, "a", 10) == jobs[:2]
    assert await claimed(queue, "b", 10) == []
    assert await redis.llen(keys.WAKE) == 0, "nobody is woken for what may not run"  # type: ignore[attr-defined]

    await queue.finish("a", jobs[0], DONE)

    assert await redis.llen(keys.WAKE) == 1  # type: ignore[attr-defined]
    assert await claimed(queue, "b", 10) == [jobs[2]]


async def test_a_cap_is_for_the_tenant_alone(redis: Redis, queue: Queue) -> None:
    for _ in range(3):
        await submitted(queue, "capped", caps=Caps(max_running=1))
        await submitted(queue, "free")

    assert Counter(await tenants_of(redis, await claimed(queue, "a", 10))) == {"capped": 1, "free": 3}


async def test_another_weight_or_cap_counts_from_the_next_submit_on(redis: Redis, queue: Queue) -> None:
    for _ in range(3):
        await submitted(queue, "acme", caps=Caps(max_running=1, weight=2))
    assert len(await claimed(queue, "a", 10)) == 1
    await submitted(queue, "acme", caps=Caps())

    assert len(await claimed(queue, "a", 10)) == 3
    assert await redis.hget(keys.TENANTS, "acme:weight") == "1"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("ages_ms", "first"), [((590_000, 0), "high"), ((610_000, 0), "low")])
async def test_low_ages_and_is_never_starved(redis: Redis, queue: Queue, ages_ms: tuple[int, int], first: str) -> None:
    """A job that has waited for long is one whose place is that much further ahead."""
    low, high = await submitted(queue, priority=Priority.LOW), await submitted(queue, priority=Priority.HIGH)
    for job_id, age_ms in zip((low, high), ages_ms, strict=True):
        await redis.zincrby(keys.ARQ_QUEUE, -age_ms, job_id)  # type: ignore[attr-defined]

    assert await claimed(queue, "a") == [{"low": low, "high": high}[first]]


async def test_of_many_tenants_each_gets_its_turn_in_one_round(redis: Redis, queue: Queue) -> None:
    names = [f"tenant-{number}" for number in range(200)]
    for name in names:
        await submitted(queue, name)
        await submitted(queue, name)

    order = await served_one_by_one(queue, redis, 200)

    assert sorted(order) == sorted(names)


async def test_after_a_hundred_million_turns_the_turns_go_on(redis: Redis, queue: Queue) -> None:
    for tenant in ("a", "b"):
        for _ in range(6):
            await submitted(queue, tenant)
    await redis.hset(keys.TURNS_TAKEN, mapping={"a": "100000001", "b": "100000002", "": "100000001"})  # type: ignore[attr-defined]
    await redis.zadd(keys.READY, {"a": 0.100000001, "b": 0.100000002})  # type: ignore[attr-defined]

    order = await served_one_by_one(queue, redis, 8)

    assert Counter(order[2:]) == {"a": 3, "b": 3}
