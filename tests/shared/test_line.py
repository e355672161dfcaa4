"""Many script calls on one connection: each gets its own answer, and a break is everybody's, once."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ConnectionError, ResponseError

from local.link import Link
from local.redis_server import RedisServer
from shared.errors import StoreUnavailable
from shared.line import Line
from shared.redis_client import Redis, close, connect, reachable
from tests.waiting import until

ECHO = "return ARGV[1]"
COUNT = "return redis.call('INCR', 'count')"


@pytest.fixture
async def client(redis: Redis, redis_server: RedisServer) -> AsyncIterator[Redis]:
    made = connect(redis_server.url)
    yield made
    await close(made)
    await redis.delete("count")  # type: ignore[attr-defined]


async def echo(client: Redis, text: str) -> str:
    async with reachable():
        return str(await client.eval(ECHO, 0, text))


async def until_it_answers(client: Redis) -> None:
    async def back() -> bool:
        try:
            return await echo(client, "after") == "after"
        except StoreUnavailable:
            return False

    await until(back)


async def connections(redis: Redis) -> int:
    return int((await redis.info("clients"))["connected_clients"])  # type: ignore[attr-defined]


async def test_each_caller_gets_its_own_answer(redis: Redis, client: Redis) -> None:
    before = await connections(redis)

    answers = await asyncio.gather(*(echo(client, f"text {number}") for number in range(500)))

    assert answers == [f"text {number}" for number in range(500)]
    assert await connections(redis) == before + 1


async def test_an_error_is_the_callers_own(client: Redis) -> None:
    wrong = client.eval("return redis.call('NO SUCH')", 0)
    first, failed, last = await asyncio.gather(echo(client, "a"), wrong, echo(client, "b"), return_exceptions=True)

    assert (first, last) == ("a", "b")
    assert isinstance(failed, ResponseError)


async def test_who_goes_away_does_not_shift_the_answers(client: Redis) -> None:
    asked = [asyncio.create_task(echo(client, str(number))) for number in range(100)]
    await asyncio.sleep(0)
    for task in asked[::3]:
        task.cancel()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    for number, answer in enumerate(answers):
        assert isinstance(answer, asyncio.CancelledError) if number % 3 == 0 else answer == str(number)


async def test_a_server_that_was_restarted_is_found_again(redis_server: RedisServer) -> None:
    with RedisServer() as server:
        client = connect(server.url)
        assert await echo(client, "before") == "before"
        server.stop()
        answers = await asyncio.gather(*(echo(client, "away") for _ in range(20)), return_exceptions=True)
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        server.start()
        await until_it_answers(client)
        await close(client)


async def test_a_break_between_two_calls_costs_nobody_anything(redis: Redis, client: Redis) -> None:
    """Redis closes idle connections, and proxies do: the next call must not be the one to find out."""
    await echo(client, "before")
    await redis.client_kill_filter(_type="normal", skipme=True)  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)  # the news travels; there is nothing to wait for on this side

    assert await echo(client, "after") == "after"


async def test_a_silent_connection_is_given_up_by_all_at_once(redis_server: RedisServer, redis: Redis) -> None:
    with Link(redis_server.port) as link:
        client = connect(f"redis://127.0.0.1:{link.port}/0")
        assert await echo(client, "before") == "before"
        link.silence()
        loop = asyncio.get_running_loop()
        started = loop.time()
        answers = await asyncio.gather(*(echo(client, "x") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert loop.time() - started < 15
        link.speak()
        await until_it_answers(client)
        await close(client)


async def test_a_lost_answer_is_unavailable_and_not_another_callers(redis_server: RedisServer, redis: Redis) -> None:
    with Link(redis_server.port) as link:
        client = connect(f"redis://127.0.0.1:{link.port}/0")
        await echo(client, "before")
        link.lose_answer(to=b"count")
        with pytest.raises(StoreUnavailable):
            async with reachable():
                await client.eval(COUNT, 0)

        assert await echo(client, "after") == "after"
        assert await redis.get("count") == "1", "it was carried out"
        await close(client)
    await redis.delete("count")  # type: ignore[attr-defined]


async def test_a_dial_that_fails_after_all_have_given_up_is_nobodys_error() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    fails = asyncio.Event()

    class Unreachable:
        async def connect(self) -> None:
            await fails.wait()
            raise ConnectionError("refused")

    line = Line(Unreachable)
    calling = asyncio.create_task(line.call("PING"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait([calling])
    fails.set()
    for _ in range(5):
        await asyncio.sleep(0)
    line._dialling = None
    gc.collect()

    assert complaints == []
