"""What is known of the agents: read anew without anybody waiting for it, and never so old that it is not true."""

import asyncio
from collections.abc import Callable

import pytest

from api import directory
from api.directory import AgentDirectory
from api.problems import Code, Problem
from shared import clock
from shared.catalogue import AgentEntry
from shared.errors import StoreUnavailable
from tests.waiting import until


class Store:
    """A catalogue and the forecasts in one, read only while it is `open`."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.readings = 0
        self.error: StoreUnavailable | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def read(self) -> dict[str, AgentEntry]:
        self.readings += 1
        await self.open.wait()
        if self.error:
            raise self.error
        return {name: AgentEntry(name, "1", "", "default", [], {}) for name in self.names}


class NoCosts:
    async def read(self) -> dict[str, int]:
        return {}


def of(store: Store) -> AgentDirectory:
    return AgentDirectory(store, NoCosts(), {})  # type: ignore[arg-type]


async def known(agents: AgentDirectory, name: str) -> bool:
    try:
        return (await agents.find(name, "default")).name == name
    except Problem as problem:
        if problem.code != Code.UNKNOWN_AGENT:
            raise
        return False


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass."""
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)

    def passes(seconds: float) -> None:
        nonlocal now
        now += seconds

    return passes


async def test_what_is_fresh_is_remembered(after: Callable[[float], None]) -> None:
    agents = of(store := Store("assistant"))
    for _ in range(3):
        assert await known(agents, "assistant")
        after(directory._FRESH_SECONDS / 4)
    assert store.readings == 1


async def test_what_is_not_fresh_is_read_in_the_background_and_once(after: Callable[[float], None]) -> None:
    agents = of(store := Store("assistant"))
    await known(agents, "assistant")
    after(directory._FRESH_SECONDS)
    store.open.clear()

    assert [await known(agents, "assistant") for _ in range(3)] == [True] * 3, "nobody has waited"
    await until(lambda: store.readings == 2)
    store.names = {"researcher"}
    store.open.set()

    await until(lambda: agents._age() == 0)
    assert not await known(agents, "assistant")
    assert store.readings == 2


async def test_what_is_old_is_read_first(after: Callable[[float], None]) -> None:
    agents = of(store := Store("assistant", "researcher"))
    await known(agents, "assistant")
    after(directory._STALE_SECONDS)
    store.names = {"researcher"}

    assert not await known(agents, "assistant")
    assert store.readings == 2


async def test_a_name_that_is_new_is_looked_for_at_once_but_not_all_the_time(after: Callable[[float], None]) -> None:
    agents = of(store := Store("assistant"))
    await known(agents, "assistant")
    store.names.add("newest")
    assert not await known(agents, "newest")
    after(directory._PATIENCE_SECONDS)
    assert await known(agents, "newest")
    assert store.readings == 2


async def test_a_reading_in_the_background_that_fails_is_repeated_and_harms_nobody(
    after: Callable[[float], None],
) -> None:
    agents = of(store := Store("assistant"))
    await known(agents, "assistant")
    after(directory._FRESH_SECONDS)
    store.error = StoreUnavailable("Redis is not available")
    for readings in (2, 3):
        assert await known(agents, "assistant")
        await until(lambda: store.readings == readings and agents._renewal is not None and agents._renewal.done())  # noqa: B023
        assert agents._renewal is not None
        assert agents._renewal.exception() is None
    after(directory._STALE_SECONDS)
    with pytest.raises(StoreUnavailable):
        await agents.find("assistant", "default")
