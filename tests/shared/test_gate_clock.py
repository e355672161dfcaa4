"""Redis' own clock at the gate: it may go back by an hour at a failover, jump on, or say nothing for a while."""

import pytest

from shared.pool import Pool, Spent, Used
from tests.shared.gating import Gates, call, pool

HOUR_SECONDS = 3600


async def back_by_an_hour(gates: Gates) -> None:
    await gates.set_clock(gates.now - HOUR_SECONDS)
    gates._kept = gates.now


async def passes_soon(gates: Gates, where: Pool, call_id: str) -> bool:
    await gates.later(60, where, step=0.5)
    return call_id in await gates.in_flight(where)


@pytest.mark.parametrize("size", [100, 15_000])
async def test_calls_pass_after_the_clock_went_back(gates: Gates, size: int) -> None:
    where = pool(input=20_000)
    await gates.fill(where)
    await gates.enter(where, call(input=100))
    await back_by_an_hour(gates)

    assert await passes_soon(gates, where, (await gates.enter(where, call(input=size))).id)


async def test_a_missed_grant_does_not_wait_for_the_old_time(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    entries = [await gates.enter(where, call()) for _ in range(63)]
    await back_by_an_hour(gates)

    answer = await gates.worker().commands.keep(where, [entry.id for entry in entries])

    assert len(answer[1]) == 61
    assert max(ms for _, ms, *_ in answer[1]) < 1000


async def test_a_worker_that_dies_then_is_buried(gates: Gates) -> None:
    where = pool(in_flight=1)
    await gates.fill(where)
    await gates.enter(where, call(), worker="dead")
    await back_by_an_hour(gates)

    assert await passes_soon(gates, where, (await gates.enter(where, call())).id)


async def test_an_open_breaker_lets_one_try_all_the_same(gates: Gates) -> None:
    where = pool()
    await gates.fill(where)
    for _ in range(5):
        await gates.leave(await gates.enter(where, call()), Spent("down", Used()))
    await back_by_an_hour(gates)

    assert await passes_soon(gates, where, (await gates.enter(where, call())).id)


async def test_nobody_is_dead_when_nobody_could_speak(gates: Gates) -> None:
    """Redis was silent for 12 seconds, or its clock jumped on: what is in flight keeps its places."""
    where = pool(in_flight=4)
    await gates.fill(where)
    flying = {(await gates.enter(where, call(), worker=f"w{n}")).id for n in range(4)}
    waiting = {(await gates.enter(where, call(), worker=f"w{n % 4}")).id for n in range(8)}
    await gates.set_clock(gates.now + 12)
    for n in range(4):
        await gates.worker(f"w{n}").commands.keep(where, [])

    assert await gates.in_flight(where) == flying
    assert await gates.waiting(where) == waiting
