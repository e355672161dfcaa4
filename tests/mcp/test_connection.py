"""One connection to a real server process, over pipes and over HTTP: what a job sees of whatever goes wrong."""

import asyncio
import logging
from typing import Any

import pytest

from tests.mcp.conftest import Connect
from tests.mcp.place import HttpServer, Place
from tests.waiting import until
from worker.agents import McpServer
from worker.mcp.errors import ServerAway
from worker.tools import ToolFailed, Unanswered

pytestmark = pytest.mark.mcp


class Reached:
    """A server over one of the transports, and the connection to it."""

    def __init__(self, place: Place, connect: Connect, http: HttpServer | None) -> None:
        self.place = place
        self._connect = connect
        self._http = http
        self.link: Any = None

    async def start(self, **options: Any) -> None:
        if self._http is not None:
            await self._http.start().up()
            options["url"] = self._http.url
        self.link = self._connect(**options)
        await self.link.offers()

    async def kill(self) -> None:
        """With SIGKILL; one over HTTP is started again by whoever runs it, which is the test."""
        if self._http is None:
            self.place.kill()
        else:
            self._http.stop()

    async def start_again(self) -> None:
        """A command is by the worker, without being told."""
        if self._http is not None:
            await self._http.start().up()
        await self.place.started(2)

    async def call(self, tool: str, seconds: float = 20, repeatable: bool = False, **arguments: Any) -> str:
        said: str = await self.link.call(tool, arguments, key="job/1/toolu", repeatable=repeatable, seconds=seconds)
        return said


@pytest.fixture(params=["stdio", "http"])
async def reached(request: pytest.FixtureRequest, place: Place, connect: Connect, http_server: HttpServer) -> Reached:
    return Reached(place, connect, http_server if request.param == "http" else None)


async def test_it_offers_tools_and_calls_them(reached: Reached) -> None:
    await reached.start()
    offers = {offer.name: offer for offer in await reached.link.offers()}

    assert offers["add"].description == "Add two numbers."
    assert set(offers["add"].input_schema["properties"]) == {"a", "b"}
    assert await reached.call("add", a=2, b=3) == "5"
    assert await reached.call("picture") == "Look:\n[image of type image/png, 10 bytes, not shown]"


async def test_the_key_travels_with_the_call(reached: Reached) -> None:
    await reached.start()

    assert await reached.call("send", key="letter") == "letter is sent"
    assert reached.place.marks("send") == [("letter", "job/1/toolu")]


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("fail", {}, "no such file"),
        ("broken", {}, "out of paper"),
        ("add", {"a": "two", "b": 3}, "valid integer"),
        ("nothing", {}, "nothing"),
    ],
)
async def test_a_tool_that_fails_says_why(reached: Reached, tool: str, arguments: dict[str, Any], told: str) -> None:
    await reached.start()

    with pytest.raises(ToolFailed, match=told) as failed:
        await reached.call(tool, **arguments)

    assert not isinstance(failed.value, Unanswered | ServerAway)
    assert await reached.call("add", a=1, b=1) == "2", "the connection has not suffered"


async def test_what_breaks_while_it_is_closed_does_not_open_it_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.mcp.connection import Connection

    times = []

    async def keep(self: Connection) -> None:
        times.append(1)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if len(times) == 1:
                raise OSError("the stream is broken") from None
            raise

    monkeypatch.setattr(Connection, "_keep", keep)
    task = asyncio.create_task(Connection(McpServer(name="marks", command=place.command), lambda: None).run())
    await until(lambda: bool(times))

    task.cancel()
    await asyncio.wait({task}, timeout=10)

    assert task.cancelled()


async def test_many_calls_at_once(reached: Reached) -> None:
    await reached.start()

    said = await asyncio.gather(*(reached.call("add", a=number, b=1) for number in range(50)))

    assert said == [str(number + 1) for number in range(50)]


async def test_killed_in_the_middle_of_a_call_that_must_not_run_twice(reached: Reached) -> None:
    await reached.start()
    call = asyncio.create_task(reached.call("pay", key="rent"))
    await until(lambda: len(reached.place.marks("pay")) == 1)

    await reached.kill()
    with pytest.raises(Unanswered):
        await call
    await reached.start_again()

    assert await reached.call("add", a=1, b=1) == "2", "it was connected to anew"
    assert len(reached.place.marks("pay")) == 1


async def test_killed_in_the_middle_of_a_call_that_may_run_again(reached: Reached) -> None:
    await reached.start()
    call = asyncio.create_task(reached.call("file.read", key="note", repeatable=True))
    await until(lambda: len(reached.place.marks("read")) == 1)

    await reached.kill()
    await reached.start_again()
    await until(lambda: len(reached.place.marks("read")) == 2)
    reached.place.put("release")

    assert await call == "note is there"
    assert reached.place.marks("read") == [("note", "job/1/toolu")] * 2


async def test_a_server_that_dies_of_a_call(reached: Reached) -> None:
    await reached.start()

    with pytest.raises(Unanswered):
        await reached.call("die", key="x")

    assert len(reached.place.marks("die")) == 1


async def test_killed_between_two_calls(reached: Reached) -> None:
    """Also a call that must not run twice is made: the one before it had ended."""
    await reached.start()
    assert await reached.call("send", key="first") == "first is sent"

    await reached.kill()
    await reached.start_again()

    assert await reached.call("send", key="second") == "second is sent"
    assert [key for key, _ in reached.place.marks("send")] == ["first", "second"]


async def test_a_tool_that_takes_too_long_holds_up_no_other(reached: Reached) -> None:
    await reached.start()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await reached.call("pay", key="rent")

    assert await reached.call("add", a=1, b=1) == "2"
    assert len(reached.place.pids()) == 1, "only the tool hangs, not its server"


async def test_a_server_that_answers_nothing_any_more_is_started_anew(place: Place, connect: Connect) -> None:
    link = connect(connect_timeout=3)
    await link.offers()
    first = await place.started(1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await link.call("block", {}, key="k", repeatable=False, seconds=20)

    await place.started(2)
    assert await link.call("add", {"a": 1, "b": 1}, key="k", repeatable=False, seconds=20) == "2"
    assert first not in place.alive()


async def test_changed_tools_are_read_anew(reached: Reached) -> None:
    told: list[int] = []
    await reached.start(on_offers=lambda: told.append(1))
    assert "late" not in [offer.name for offer in reached.link.known]

    async def grown() -> bool:
        """A change that comes before the server has been asked to tell of changes is read when it has been."""
        return "late" in [offer.name for offer in await reached.link.offers()]

    await reached.call("grow", name="late")
    await until(grown)

    assert await reached.call("late") == "grown"
    assert len(told) == 2


async def test_a_slow_start_is_waited_for(place: Place, connect: Connect) -> None:
    place.put("slow-start")
    link = connect()
    waiting = asyncio.create_task(link.offers())
    await place.started(1)
    assert not waiting.done()

    place.put("release")

    assert "add" in [offer.name for offer in await waiting]


async def test_a_server_that_never_speaks_is_away_and_leaves_nothing_behind(place: Place, connect: Connect) -> None:
    place.put("deaf")
    link = connect(connect_timeout=4)

    with pytest.raises(ServerAway):
        await link.offers()
    with pytest.raises(ServerAway):  # and not TimeoutError, which would be to have no idea
        async with asyncio.timeout(4):
            await link.call("add", {}, key="k", repeatable=False, seconds=4)

    place.take("deaf")
    await until(lambda: link.known is not None)
    assert len(place.alive()) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"command": ["/there/is/no/such/program"]},
        {"command": ["false"]},
        {"command": ["sh", "-c", "yes garbage | head -c 300000; sleep 60"], "connect_timeout": 1},
        {"url": "http://127.0.0.1:9/mcp"},
    ],
)
async def test_a_server_that_cannot_be_reached_is_away(
    connect: Connect, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    link = connect(**options)

    with pytest.raises(ServerAway):
        await link.offers()

    assert "garbage" not in caplog.text


async def test_a_server_that_prints_what_is_no_protocol_works_all_the_same(place: Place, connect: Connect) -> None:
    place.put("garbage")
    link = connect()

    assert "add" in [offer.name for offer in await link.offers()]


async def test_a_server_over_http_that_is_gone_is_away_at_once(
    place: Place, connect: Connect, http_server: HttpServer
) -> None:
    await http_server.start().up()
    link = connect(url=http_server.url)
    await link.offers()
    http_server.stop()

    with pytest.raises(ServerAway):
        await link.call("send", {"key": "x"}, key="k", repeatable=False, seconds=1)

    assert place.marks("send") == []


async def test_secrets_come_from_the_environment(
    place: Place,
    connect: Connect,
    http_server: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MARKS_TOKEN", "s3cret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-for-servers")
    caplog.set_level(logging.DEBUG)

    command = connect(env=["MARKS_TOKEN"])
    assert await command.call("secret", {}, key="k", repeatable=True, seconds=20) == "s3cret None"

    await http_server.start().up()
    over_http = connect(url=http_server.url, headers_env={"Authorization": "MARKS_TOKEN"})
    assert await over_http.call("header", {}, key="k", repeatable=True, seconds=20) == "s3cret"
    assert "s3cret" not in caplog.text
