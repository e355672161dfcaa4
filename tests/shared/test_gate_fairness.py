"""Who pays for what in the fair line: what was not served costs nobody a turn, what was served costs what it used."""

from collections import Counter
from typing import Any

import pytest

from shared import keys
from shared.ids import new_call_id
from shared.job import Priority
from shared.pool import Pool, Spent, Used
from tests.shared.gating import Entry, Gates, call, pool


class Line:
    """Each tenant keeps so many calls in line; `entries` are those that have not been served yet, oldest first."""

    def __init__(self, gates: Gates, where: Pool, waiting: int) -> None:
        self.gates, self.where, self.most = gates, where, waiting
        self.entries: dict[str, Entry] = {}
        self.served: list[str] = []

    async def fill_up(self, tenant: str, **wanted: Any) -> None:
        while sum(entry.reservation.call.asker.tenant == tenant for entry in self.entries.values()) < self.most:
            entry = await self.gates.enter(self.where, call(tenant, **wanted), call_id=new_call_id())
            self.entries[entry.id] = entry

    async def passed(self) -> list[Entry]:
        flying = await self.gates.in_flight(self.where)
        return [self.entries.pop(call_id) for call_id in list(self.entries) if call_id in flying]

    def count(self, entry: Entry) -> None:
        self.served.append(entry.reservation.call.asker.tenant)

    def share(self, tenant: str) -> float:
        return Counter(self.served)[tenant] / len(self.served)


async def test_calls_that_give_up_cost_their_tenant_nothing(gates: Gates) -> None:
    """All of one tenant's calls go after five seconds and come again, as parked jobs do."""
    where = pool(requests=60)
    await gates.fill(where)
    line = Line(gates, where, 20)
    for second in range(100):
        for tenant in ("hasty", "patient"):
            await line.fill_up(tenant)
        await gates.later(1, where, step=0.2)
        for entry in await line.passed():
            await gates.ends(entry)
            line.count(entry)
        if second % 5 == 4:
            for entry in [each for each in line.entries.values() if each.reservation.call.asker.tenant == "hasty"]:
                await gates.leave(line.entries.pop(entry.id), Spent(used=Used()))

    assert line.share("hasty") > 0.4


async def test_what_the_dead_left_in_line_costs_their_tenant_nothing(gates: Gates) -> None:
    where = pool(requests=60)
    await gates.fill(where)
    for _ in range(50):
        await gates.enter(where, call("bereaved"), worker="dead")
    await gates.later(12, where)
    others = [await gates.enter(where, call("other")) for _ in range(20)]
    mine = [await gates.enter(where, call("bereaved")) for _ in range(20)]
    await gates.later(20, where, step=0.25)

    flying = await gates.in_flight(where)
    assert sum(entry.id in flying for entry in others) == pytest.approx(10, abs=2)
    assert sum(entry.id in flying for entry in mine) == pytest.approx(10, abs=2)


async def test_a_call_that_fails_and_then_is_served_pays_once(gates: Gates) -> None:
    where = pool(requests=60)
    await gates.fill(where)
    line, again = Line(gates, where, 10), set()
    for second in range(120):
        for tenant in ("failing", "well"):
            await line.fill_up(tenant)
        await gates.later(1, where, step=0.2)
        for entry in await line.passed():
            if entry.reservation.call.asker.tenant == "failing" and entry.id not in again and second % 8 == 0:
                await gates.leave(entry, Spent("down", Used()))
                second_try = await gates.enter(where, call("failing", place=entry.reservation.place))
                if not second_try.spent:
                    line.entries[second_try.id] = second_try
                    again.add(second_try.id)
            else:
                await gates.ends(entry)
                line.count(entry)

    assert again
    assert line.share("failing") == pytest.approx(0.5, abs=0.06)


async def test_who_waits_is_told_its_own_wait(gates: Gates) -> None:
    where = pool(requests=60)
    await gates.fill(where)
    for _ in range(100):
        await gates.enter(where, call("flood"))

    assert (await gates.enter(where, call("small"))).wait == pytest.approx(1, abs=1)
    assert (await gates.enter(where, call("flood"))).wait == pytest.approx(95, abs=5)


async def test_who_waits_is_told_of_a_debt(gates: Gates) -> None:
    where = pool(input=20_000)
    await gates.fill(where)
    await gates.enter(where, call(input=15_000))

    behind = await gates.enter(where, call(input=100))

    await gates.later(behind.wait - 1, where)
    assert behind.id not in await gates.in_flight(where)
    await gates.later(2, where)
    assert behind.id in await gates.in_flight(where)


async def test_classes_share_by_what_calls_used_not_by_what_was_thought(gates: Gates) -> None:
    """Nine tenths of what high calls ask is read from a cache, of which nobody knows beforehand."""
    where = pool(requests=6000, input=60_000)
    await gates.fill(where)
    line, used = Line(gates, where, 10), Counter[str]()
    for number in range(240):
        for priority in (Priority.HIGH, Priority.STANDARD):
            await line.fill_up(priority.value, input=1000, priority=priority, agent=f"{priority.value}-{number}")
        await gates.later(0.5, where, step=0.1)
        for entry in await line.passed():
            name = entry.reservation.call.asker.tenant
            tokens = 100 if name == Priority.HIGH.value else 1000
            await gates.ends(entry, input=tokens, output=10)
            used[name] += tokens

    assert used[Priority.HIGH.value] / used[Priority.STANDARD.value] == pytest.approx(4, rel=0.35)


async def test_calls_of_one_tenant_pass_in_the_order_in_which_they_came(gates: Gates) -> None:
    """Also where each turns out ten times smaller than was thought, which moves the tenant's next ones up."""
    where = pool(requests=6000, input=60_000)
    await gates.fill(where)
    line, order = Line(gates, where, 10), []
    came: dict[str, int] = {}
    for number in range(150):
        await line.fill_up("small", input=1000, agent=f"new-{number}")
        await line.fill_up("beside", input=1000, agent="known")
        for call_id in line.entries:
            came.setdefault(call_id, len(came))
        await gates.later(0.5, where, step=0.1)
        for entry in await line.passed():
            small = entry.reservation.call.asker.tenant == "small"
            await gates.ends(entry, input=100 if small else 1000, output=10)
            if small:
                order.append(came[entry.id])

    assert len(order) > 100
    assert order == sorted(order)


async def test_an_old_place_is_no_place_behind_all_after_a_loss_of_data(gates: Gates) -> None:
    where = pool(requests=60)
    for _ in range(10):
        await gates.enter(where, call("others"))
    old = await gates.enter(where, call("refused", place="5000"))
    await gates.later(25, where, step=0.5)

    assert old.id in await gates.in_flight(where)


async def test_a_line_whose_books_were_lost_is_served(gates: Gates) -> None:
    where = pool(requests=60)
    await gates.fill(where)
    for _ in range(20):
        await gates.enter(where, call())
    await gates.redis.delete(keys.gate_state(where.name))
    await gates.later(30, where, step=0.5)

    assert await gates.waiting(where) == set()
    assert (await gates.look(where))["waiting"] == {"high": 0, "standard": 0, "low": 0}


async def test_what_the_dead_left_in_line_is_in_nobodys_way(gates: Gates) -> None:
    where = pool(requests=60)
    await gates.fill(where)
    for _ in range(80):
        await gates.enter(where, call("a"), worker="dead")
    await gates.later(13, where)

    assert await gates.waiting(where) == set()
    again = await gates.enter(where, call("a"))
    assert again.granted or again.wait < 5, "and their tenant has not paid for what was never served"
