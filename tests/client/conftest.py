"""Both kinds of client in front of a server that misbehaves, in a time that passes at once and is written down."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from client import sluice_client
from tests.client.both import Both
from tests.client.misbehaving import Misbehaving, misbehaving


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    async with misbehaving() as serving:
        yield serving


@pytest.fixture(params=["sync", "async"])
async def both(request: pytest.FixtureRequest, server: Misbehaving) -> AsyncIterator[Callable[..., Both]]:
    """Makes a client of that server."""
    made: list[Both] = []

    def make(url: str = server.url, **options: Any) -> Both:
        made.append(Both(request.param, url, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client has paused each time; it did not really."""
    seconds: list[float] = []

    async def pause(_: Any, length: float) -> None:
        seconds.append(length)

    for wire in (sluice_client._AsyncWire, sluice_client._BlockingWire):
        monkeypatch.setattr(wire, "pause", pause)
    return seconds
