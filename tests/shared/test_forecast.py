"""What a job is likely to cost: the median of the agent's last jobs, whose ends are counted once."""

from typing import Any

import pytest

from shared import keys
from shared.checkpoints import Checkpoints
from shared.forecast import Forecasts
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.shared.queueing import claimed, submitted

OWNER = "worker"


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def ended(redis: Any, queue: Queue, cost: int, event: Event = Event.SUCCEED, agent: str = "assistant") -> str:
    await submitted(queue)
    (job_id,) = await claimed(queue, OWNER)
    turn = ModelRecord(1, [], "end_turn", Usage(cost_nano=cost), "default", "m", None, 1)
    await Checkpoints(redis).append(OWNER, job_id, 0, turn)
    await queue.finish(OWNER, job_id, Conclusion(event), agent=agent)
    return job_id


async def test_nothing_is_known_before_the_first(redis: Redis) -> None:
    assert await Forecasts(redis).read() == {}


async def test_it_is_the_median_by_agent(redis: Redis, queue: Queue) -> None:
    for cost in (10, 30, 20, 5_000_000):
        await ended(redis, queue, cost)
    await ended(redis, queue, 7, agent="researcher")
    assert await Forecasts(redis).read() == {"assistant": 20, "researcher": 7}


async def test_an_old_price_is_forgotten(redis: Any, queue: Queue) -> None:
    for cost in (100,) * 30 + (200,) * 13:
        await ended(redis, queue, cost)
    assert await Forecasts(redis).read() == {"assistant": 200}
    assert len((await redis.hget(keys.COSTS, "assistant")).split()) == 25
    assert 0 < await redis.ttl(keys.COSTS) <= 30 * 86400


@pytest.mark.parametrize("event", [Event.FAIL, Event.CONFIRM_CANCEL])
async def test_what_did_not_come_to_its_end_says_nothing(redis: Redis, queue: Queue, event: Event) -> None:
    await submitted(queue)
    if event == Event.FAIL:
        await ended(redis, queue, 100, event)
    else:
        (job_id,) = await claimed(queue, OWNER)
        await queue.cancel(job_id)
        await queue.finish(OWNER, job_id, Conclusion(Event.SUCCEED), agent="assistant")
    assert await Forecasts(redis).read() == {}


async def test_a_job_without_a_price_says_nothing_and_one_stopped_by_a_limit_does(redis: Redis, queue: Queue) -> None:
    await ended(redis, queue, 0)
    assert await Forecasts(redis).read() == {}
    await ended(redis, queue, 40, Event.STOP_SHORT)
    assert await Forecasts(redis).read() == {"assistant": 40}


async def test_an_end_that_is_repeated_counts_once(redis: Any, queue: Queue) -> None:
    job_id = await ended(redis, queue, 10)
    await queue.finish(OWNER, job_id, Conclusion(Event.SUCCEED), agent="assistant")
    assert await redis.hget(keys.COSTS, "assistant") == "10"
