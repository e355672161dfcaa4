"""What a call really used, and what the provider has said meanwhile: each token is counted once."""

from shared.gate_news import begun
from shared.pool import Asker, Call, Headroom, Spent, Used
from tests.shared.gating import Gates, call, pool


async def test_what_the_provider_has_counted_already_is_not_given_back(gates: Gates) -> None:
    """Ten calls turn out small, but somebody else has the same key: a thousand tokens are left."""
    where = pool(requests=6000)
    await gates.fill(where)
    entries = [await gates.enter(where, call(input=5000)) for _ in range(10)]
    assert all(entry.granted for entry in entries)
    await gates.worker().commands.tell(where, begun(entries[-1].id, Headroom({}, {"input": 1000}, 50)))
    for entry in entries:
        await gates.ends(entry, input=50)

    assert (await gates.look(where))["input"]["level"] <= 1000


async def test_what_the_provider_has_counted_already_is_not_taken_again(gates: Gates) -> None:
    where = pool(requests=6000)
    await gates.fill(where)
    entry = await gates.enter(where, call(input=5000))
    await gates.worker().commands.tell(where, begun(entry.id, Headroom({}, {"input": 10_000}, 50_000)))
    await gates.ends(entry, input=50_000)

    assert (await gates.look(where))["input"]["level"] == 10_000


async def test_what_a_cache_saves_is_given_back_when_the_answer_begins(gates: Gates) -> None:
    """At the ends of long answers it would come back all at once, long after the provider's bucket was full."""
    where = pool(requests=6000)
    await gates.fill(where)
    for _ in range(8):
        entry = await gates.enter(where, call(input=20_000, agent="cached"))
        await gates.later(1, where)
        await gates.worker().commands.tell(where, begun(entry.id, Headroom({}, {}, 500)))
        await gates.later(1, where)
    before = await gates.in_flight(where)
    for number in range(12):
        await gates.enter(where, call(input=20_000, agent=f"new-{number}"))

    assert len(await gates.in_flight(where) - before) * 20_000 <= 60_000


async def test_a_call_that_may_fit_is_not_too_large_by_a_guess(gates: Gates) -> None:
    """27,500 tokens at four characters each; before anything is learned they are thought to be 33,000."""
    where = pool(input=30_000)
    await gates.worker().reserve(where, Call(Asker("new"), 110_000, 100))


async def test_a_long_answer_that_fitted_in_leaves_no_debt(gates: Gates) -> None:
    where = pool(output=8000)
    await gates.fill(where)
    entry = await gates.enter(where, call(output=64_000))
    await gates.later(64_000 / 50, where, step=1)
    await gates.ends(entry, output=64_000)

    behind = await gates.enter(where, call(output=100, agent="other"))
    await gates.later(10, where)
    assert behind.id in await gates.in_flight(where)


async def test_calls_in_flight_that_outlast_what_was_expected_go_on_drawing(gates: Gates) -> None:
    """Ten answers of 500 tokens become long, and use all that flows in: whoever came beside them would be refused."""
    where = pool(output=24_000)
    await gates.fill(where)
    for _ in range(10):
        entry = await gates.enter(where, call(output=50_000))
        await gates.later(10, where, step=0.5)
        await gates.leave(entry, Spent("ok", Used(1, 90, 500)))
    for _ in range(10):
        await gates.enter(where, call(output=50_000))
    await gates.later(200, where, step=0.5)

    flying = len(await gates.in_flight(where))
    assert flying * 50 >= 400, "tokens a second"
    assert (await gates.look(where))["output"]["level"] < 0
