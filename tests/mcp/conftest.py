"""Fixtures: a folder for a server, and connections to it that end with the test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.place import HttpServer, Place
from worker.agents import McpServer

if find_spec("mcp") is None:  # the tests need the extra; `make test-mcp` brings it
    collect_ignore_glob = ["test_*.py"]

Connect = Callable[..., Any]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    assert not made.alive(), "a server was left behind"


@pytest.fixture
def http_server(place: Place) -> Iterator[HttpServer]:
    made = HttpServer(place)
    yield made
    made.stop()


@pytest.fixture
async def connect(place: Place) -> AsyncIterator[Connect]:
    """`connect(url=…)` or, for a command, `connect()`: a connection that is kept until the end of the test."""
    from worker.mcp.connection import Connection

    tasks: list[asyncio.Task[None]] = []

    def made(on_offers: Callable[[], None] = lambda: None, **options: Any) -> Connection:
        reached = options if "url" in options or "command" in options else options | {"command": place.command}
        connection = Connection(McpServer(name="marks", **reached), on_offers=on_offers)
        tasks.append(asyncio.create_task(connection.run()))
        return connection

    yield made
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
