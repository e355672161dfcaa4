"""What tenants spend: counted with the turn that cost it, once, by day; and reasons to wait, counted with the jobs."""

from dataclasses import replace

import pytest

from shared import keys
from shared.checkpoints import Checkpoints
from shared.errors import LeaseLost
from shared.overview import Overview
from shared.redis_client import Redis
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.api.talk import StandIn
from tests.key_leaks import leaked_keys

TURN = ModelRecord(
    turn=1,
    content=[],
    stop_reason="end_turn",
    usage=Usage(turns=1, cost_nano=9_007_199_254_740_991),
    target="default",
    model="m",
    request_id=None,
    milliseconds=1,
)


async def test_a_turn_is_counted_once_and_exactly(redis: Redis) -> None:
    worker, checkpoints, overview = StandIn(redis), Checkpoints(redis), Overview(redis)
    job_id = await worker.add(tenant="acme")
    await worker.take()
    for _ in range(3):
        await checkpoints.append("stand-in", job_id, 0, TURN)
    assert await overview.spent_today("acme") == TURN.usage.cost_nano
    await checkpoints.append("stand-in", job_id, 1, replace(TURN, usage=Usage(turns=1)))
    assert await overview.spent_today("acme") == TURN.usage.cost_nano
    assert (await overview.queue()).tenants["acme"].spent_nano == TURN.usage.cost_nano
    assert await overview.spent_today("globex") == 0


async def test_what_is_not_written_down_costs_nobody(redis: Redis) -> None:
    worker, overview = StandIn(redis), Overview(redis)
    job_id = await worker.add(tenant="acme")
    await worker.take()
    with pytest.raises(LeaseLost):
        await Checkpoints(redis).append("somebody-else", job_id, 0, TURN)
    assert await overview.spent_today("acme") == 0


async def test_a_wrong_count_of_reasons_is_found(redis: Redis) -> None:
    await StandIn(redis).add(tenant="acme")
    await redis.hset(keys.WAITS, mapping={"acme:scheduled": 1, ":scheduled": 1})
    assert any(keys.WAITS in leak for leak in await leaked_keys(redis))
    await redis.delete(keys.WAITS)
