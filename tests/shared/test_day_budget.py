"""A tenant's day: money set aside before a call, settled by its checkpoint, given back whatever becomes of the job."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared import clock, keys
from shared.checkpoints import Checkpoints
from shared.day_budget import DayBudget, Shortage
from shared.errors import LeaseLost
from shared.job import WaitReason
from shared.overview import Overview
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from shared.turn import BrokenRecord, ModelRecord
from shared.usage import Usage
from tests.key_leaks import leaked_keys
from tests.shared.queueing import claimed, die, submitted

OWNER = "worker"
CAP = 1000
TURN = ModelRecord(1, [], "end_turn", Usage(model_calls=1, turns=1, cost_nano=150), "default", "m", None, 1)


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


@pytest.fixture
def day(redis: Redis) -> DayBudget:
    return DayBudget(redis)


async def running(queue: Queue, tenant: str = "acme") -> str:
    await submitted(queue, tenant)
    (job_id,) = await claimed(queue, OWNER)
    return job_id


async def aside(redis: Any, tenant: str = "acme") -> int:
    return int(await redis.hget(keys.RESERVED, tenant) or 0)


async def reserve(day: DayBudget, job_id: str, least: int, wanted: int, owner: str = OWNER) -> int | Shortage:
    return await day.reserve(owner, job_id, least=least, wanted=wanted, per_day=CAP)


async def test_what_one_has_set_aside_others_cannot_have(redis: Any, queue: Queue, day: DayBudget) -> None:
    first, second, third = [await running(queue) for _ in range(3)]
    assert await reserve(day, first, 100, 700) == 700
    assert await reserve(day, second, 100, 700) == 300, "a shorter answer fits"
    assert await aside(redis) == CAP

    short = await reserve(day, third, 100, 700)

    assert isinstance(short, Shortage)
    assert short.in_flight
    assert await aside(redis) == CAP, "nothing changes"
    assert await reserve(day, await running(queue, "globex"), 100, 700) == 700, "another tenant has a day of its own"


async def test_it_is_said_what_is_set_aside_in_all_so_it_can_be_repeated(
    redis: Any, queue: Queue, day: DayBudget
) -> None:
    job_id = await running(queue)
    for wanted in (700, 700, 1000, 200):
        assert await reserve(day, job_id, 100, wanted) == wanted
        assert await aside(redis) == wanted
    assert await leaked_keys(redis) == []


async def test_a_checkpoint_settles(redis: Any, queue: Queue, day: DayBudget) -> None:
    job_id = await running(queue)
    await reserve(day, job_id, 100, 700)
    for _ in range(2):
        await Checkpoints(redis).append(OWNER, job_id, 0, TURN)
        assert await aside(redis) == 0
        assert await Overview(redis).spent_today("acme") == 150
    assert await redis.exists(keys.RESERVED) == 0
    assert await reserve(day, job_id, 100, 5000) == CAP - 150


async def test_a_call_beside_others_settles_its_own_part(redis: Any, queue: Queue, day: DayBudget) -> None:
    job_id = await running(queue)
    await reserve(day, job_id, 500, 700)
    await Checkpoints(redis).append(OWNER, job_id, 0, TURN, reserved_nano=400)
    assert await aside(redis) == 400


async def test_what_broke_off_is_spent(redis: Any, queue: Queue, day: DayBudget) -> None:
    job_id = await running(queue)
    broken = BrokenRecord(1, Usage(input_tokens=10, model_calls=1, cost_nano=30), "default", "m", "overloaded_error")
    await Checkpoints(redis).append(OWNER, job_id, 0, broken)
    assert await Overview(redis).spent_today("acme") == 30
    record = await redis.hgetall(keys.job(job_id))
    assert (record["cost_nano"], record["input_tokens"], record["model_calls"]) == ("30", "10", "1")
    assert "served" not in record


async def test_a_day_that_is_spent_says_when_the_next_begins(redis: Any, queue: Queue, day: DayBudget) -> None:
    job_id = await running(queue)
    await Checkpoints(redis).append(OWNER, job_id, 0, replace(TURN, usage=Usage(cost_nano=950)))
    seconds, _ = await redis.time()
    short = await reserve(day, job_id, 100, 700)
    assert isinstance(short, Shortage)
    assert not short.in_flight
    assert short.seconds == pytest.approx(86400 - seconds % 86400, abs=5)
    assert await reserve(day, job_id, 50, 700) == 50, "what there is left can be spent"


async def test_yesterday_is_over_but_what_is_in_flight_counts(redis: Any, queue: Queue, day: DayBudget) -> None:
    """A call over midnight will be paid for on the new day, so that is where its money is set aside."""
    first, second = await running(queue), await running(queue)
    seconds, _ = await redis.time()
    await redis.hset(f"{keys.SPENT}{seconds * 1000 // clock.DAY_MS - 1}", "acme", CAP)
    await redis.expire(f"{keys.SPENT}{seconds * 1000 // clock.DAY_MS - 1}", 60)
    assert await reserve(day, first, 100, 700) == 700
    assert await reserve(day, second, 100, 700) == 300


@pytest.mark.parametrize("end", ["finish", "release", "cancel", "death"])
async def test_whatever_takes_the_job_from_its_worker_gives_the_money_back(
    redis: Any, queue: Queue, day: DayBudget, end: str
) -> None:
    job_id, other = await running(queue), await running(queue, "globex")
    await reserve(day, job_id, 100, 700)
    await reserve(day, other, 100, 700)
    match end:
        case "finish":
            await queue.finish(OWNER, job_id, Conclusion(Event.SUCCEED))
        case "release":
            await queue.release(OWNER, job_id, WaitReason.TENANT_BUDGET, delay_ms=1000)
        case "cancel":
            await queue.cancel(job_id)
            assert await aside(redis) == 700, "its worker may still be at it"
            await queue.finish(OWNER, job_id, Conclusion(Event.CONFIRM_CANCEL))
        case "death":
            await die(redis, OWNER)
    assert await aside(redis) == 0
    assert await aside(redis, "globex") == (0 if end == "death" else 700)
    assert "reserved" not in await redis.hgetall(keys.job(job_id))


async def test_who_does_not_hold_the_job_sets_nothing_aside(redis: Any, queue: Queue, day: DayBudget) -> None:
    job_id = await running(queue)
    with pytest.raises(LeaseLost):
        await reserve(day, job_id, 100, 700, owner="somebody else")
    assert await aside(redis) == 0


async def test_who_asks_at_the_same_time_gets_no_more_than_there_is(redis: Any, queue: Queue, day: DayBudget) -> None:
    jobs = [await running(queue) for _ in range(30)]
    granted = await asyncio.gather(*(reserve(day, job_id, 10, 90) for job_id in jobs))
    assert sum(one for one in granted if isinstance(one, int)) == CAP == await aside(redis)


async def test_a_wrong_sum_is_found(redis: Any, queue: Queue, day: DayBudget) -> None:
    await reserve(day, await running(queue), 100, 700)
    await redis.hincrby(keys.RESERVED, "acme", 1)
    assert any(keys.RESERVED in leak for leak in await leaked_keys(redis))
    await redis.hincrby(keys.RESERVED, "acme", -1)
