"""The listener: hears every message while connected, and comes back when Redis does."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from local.link import Link
from local.redis_server import RedisServer
from shared import listener
from shared.listener import listen
from shared.redis_client import Redis, connect
from tests.waiting import until

CHANNEL = "sluice:test"


class Ear:
    """A running listener, and what it heard."""

    def __init__(self, redis: Redis) -> None:
        self.heard: list[str] = []
        self.connects = 0
        self.task = asyncio.create_task(listen(redis, CHANNEL, self.heard.append, self._connected))

    def _connected(self) -> None:
        self.connects += 1

    async def stop(self) -> None:
        """Before Python 3.12 a cancel can get lost while redis-py sends (cpython issue 86296)."""
        while not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=1)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server of this file's own, since it is restarted."""
    with RedisServer() as running:
        yield running


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    made = connect(server.url)
    yield made
    await made.aclose(close_connection_pool=True)


@pytest.fixture
async def ear(client: Redis) -> AsyncIterator[Ear]:
    made = Ear(client)
    await until(lambda: made.connects == 1)
    yield made
    await made.stop()


async def publish(redis: Redis, text: str) -> int:
    count: int = await redis.publish(CHANNEL, text)  # type: ignore[attr-defined]
    return count


async def test_every_message_is_heard_in_order(client: Redis, ear: Ear) -> None:
    for number in range(50):
        await publish(client, str(number))
    await until(lambda: len(ear.heard) == 50)
    assert ear.heard == [str(number) for number in range(50)]


async def test_another_channel_is_not_heard(client: Redis, ear: Ear) -> None:
    await client.publish("sluice:other", "no")  # type: ignore[attr-defined]
    await publish(client, "yes")
    await until(lambda: bool(ear.heard))
    assert ear.heard == ["yes"]


async def test_several_channels_are_heard_on_one_connection(client: Redis) -> None:
    heard: list[str] = []
    connects: list[None] = []
    listening = asyncio.create_task(
        listen(client, (CHANNEL, "sluice:other"), heard.append, lambda: connects.append(None))
    )

    async def both() -> bool:
        await client.publish("sluice:other", "one")  # type: ignore[attr-defined]
        await publish(client, "two")
        return {"one", "two"} <= set(heard)

    await until(both)
    listening.cancel()
    await asyncio.wait([listening])
    assert len(connects) == 1


async def test_it_listens_again_after_the_server_was_restarted(server: RedisServer, client: Redis, ear: Ear) -> None:
    with capture_logs() as logged:
        await asyncio.to_thread(server.stop)
        await until(lambda: any(line["event"] == "listening_interrupted" for line in logged))
        await asyncio.to_thread(server.start)
        await until(lambda: ear.connects >= 2)

        async def comes_through() -> bool:
            return await publish(client, "back") > 0

        await until(comes_through)
        await until(lambda: "back" in ear.heard)

    assert not ear.task.done()
    said = [line["event"] for line in logged if line["event"].startswith("listening")]
    assert said == ["listening_interrupted", "listening_again"], "once each, however often it tried"


async def test_a_cut_connection_is_told_to_whoever_has_to_look_again(client: Redis, ear: Ear) -> None:
    """Messages sent meanwhile are lost for good; a silent reconnection would hide that."""
    await client.client_kill_filter(_type="pubsub")  # type: ignore[attr-defined]
    await until(lambda: ear.connects == 2)

    await publish(client, "again")
    await until(lambda: ear.heard == ["again"])


async def test_it_waits_for_a_server_that_is_not_there_yet(server: RedisServer) -> None:
    await asyncio.to_thread(server.stop)
    redis = connect(server.url)
    ear = Ear(redis)
    try:
        await asyncio.wait([ear.task], timeout=0.2)
        assert (ear.connects, ear.task.done()) == (0, False)
        await asyncio.to_thread(server.start)
        await until(lambda: ear.connects == 1)
    finally:
        await ear.stop()
        await redis.aclose(close_connection_pool=True)


async def test_a_listener_that_was_never_interrupted_says_nothing(client: Redis) -> None:
    with capture_logs() as logged:
        ear = Ear(client)
        await until(lambda: ear.connects == 1)
        await ear.stop()
    assert logged == []


async def test_it_ends_when_it_is_cancelled(client: Redis, ear: Ear) -> None:
    await ear.stop()
    assert ear.task.cancelled()

    async def nobody_listens() -> bool:
        return await publish(client, "anybody?") == 0

    await until(nobody_listens)


async def test_a_connection_that_died_without_a_word_is_noticed(
    server: RedisServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(listener, "ANSWER_SECONDS", 1.0)
    with Link(server.port) as link:
        far = connect(f"redis://127.0.0.1:{link.port}/0")
        ear = Ear(far)
        await until(lambda: ear.connects == 1)
        link.strand()
        await until(lambda: ear.connects == 2)

        async def heard() -> bool:
            await publish(client, "anybody?")
            return "anybody?" in ear.heard

        await until(heard)
        await ear.stop()
        await far.aclose(close_connection_pool=True)


async def test_silence_alone_is_no_reason_to_connect_again(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_PATIENCE_SECONDS", 0.02)
    asked = asyncio.get_running_loop().time()
    await until(lambda: asyncio.get_running_loop().time() - asked > 0.5)
    assert ear.connects == 1
    assert ear.heard == []
