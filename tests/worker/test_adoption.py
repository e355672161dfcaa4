"""What a stock arq client enqueues: taken in when it is for us and JSON, left alone and said so when not."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from local.redis_server import RedisServer
from shared import keys
from shared.catalogue import AgentEntry, Catalogue
from shared.job import Job, Priority
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event, Status
from tests.shared.queueing import claim, submitted, sweep
from worker.adoption import Adoption, NotForUs, _spec

LIMITS = {"max_turns": 7, "max_tokens": None, "max_cost_usd": "0.250000", "max_seconds": 60}
ENTRY = AgentEntry("assistant", "1", "", "second", [], LIMITS)


@pytest.fixture
async def arq(redis_server: RedisServer) -> AsyncIterator[ArqRedis]:
    pool = ConnectionPool.from_url(redis_server.url)
    client = ArqRedis(pool, job_serializer=lambda fields: json.dumps(fields).encode(), job_deserializer=json.loads)
    yield client
    await client.aclose(close_connection_pool=True)


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def taken_in(redis: Redis, queue: Queue) -> list[Job]:
    """What a worker makes of it: it meets strangers, and then takes what has become a job."""
    catalogue = Catalogue(redis)
    await catalogue.announce([ENTRY])
    await sweep(redis)  # a stock client tells nobody of it
    first = await claim(queue, "a", 10)
    await Adoption(queue, catalogue).take_in(first.strangers)
    return first.jobs + (await claim(queue, "a", 10)).jobs


async def test_a_stock_enqueue_becomes_a_job_like_any_other(redis: Redis, queue: Queue, arq: ArqRedis) -> None:
    stock = await arq.enqueue_job(
        keys.JOB_FUNCTION, agent="assistant", input="hello", priority="high", metadata={"k": "v"}
    )
    assert stock is not None

    (job,) = await taken_in(redis, queue)

    assert (job.id, job.status, job.spec.input) == (stock.job_id, Status.RUNNING, "hello")
    assert (job.spec.priority, job.spec.metadata, job.spec.chain) == (Priority.HIGH, {"k": "v"}, "second")
    assert (job.spec.budget.max_turns, job.spec.budget.max_cost_nano) == (7, 250_000_000)
    assert await redis.ttl(keys.ARQ_JOB + job.id) == -1, "an accepted job does not vanish after a day"  # type: ignore[attr-defined]


async def test_it_may_belong_to_a_session(redis: Redis, queue: Queue, arq: ArqRedis) -> None:
    for job_id in ("first", "second"):
        await arq.enqueue_job(keys.JOB_FUNCTION, agent="assistant", input="hello", session_id="chat", _job_id=job_id)

    assert [job.id for job in await taken_in(redis, queue)] == ["first"]
    await queue.finish("a", "first", Conclusion(Event.SUCCEED, output="done"))
    assert [job.id for job in (await claim(queue, "a", 10)).jobs] == ["second"]


async def test_it_may_be_deferred(redis: Redis, queue: Queue, arq: ArqRedis) -> None:
    await arq.enqueue_job(keys.JOB_FUNCTION, agent="assistant", input="later", _defer_by=3600)

    assert await taken_in(redis, queue) == []
    await arq.zrem(keys.ARQ_QUEUE, *await arq.zrange(keys.ARQ_QUEUE, 0, -1))


async def test_two_workers_that_meet_it_make_one_job(redis: Redis, queue: Queue, arq: ArqRedis) -> None:
    await arq.enqueue_job(keys.JOB_FUNCTION, agent="assistant", input="hello")
    await sweep(redis)
    met = (await claim(queue, "a")).strangers
    catalogue = Catalogue(redis)
    for _ in range(2):
        await Adoption(queue, catalogue).take_in(met)

    assert len((await claim(queue, "b", 10)).jobs) == 1


async def test_a_pickle_and_a_strangers_function_are_left_alone(
    redis: Redis, queue: Queue, arq: ArqRedis, redis_server: RedisServer
) -> None:
    pickling = ArqRedis(ConnectionPool.from_url(redis_server.url))
    await pickling.enqueue_job(keys.JOB_FUNCTION, agent="assistant", input="boo", _job_id="pickled")
    await arq.enqueue_job("somebody_elses", 1, _job_id="stock")
    ours = await submitted(queue)

    assert [job.id for job in await taken_in(redis, queue)] == [ours]
    assert await redis.exists(keys.job("pickled"), keys.job("stock")) == 0  # type: ignore[attr-defined]
    assert await redis.exists(keys.ARQ_JOB + "pickled", keys.ARQ_JOB + "stock") == 2  # type: ignore[attr-defined]
    await redis.zrem(keys.ARQ_QUEUE, "pickled", "stock")
    await pickling.aclose(close_connection_pool=True)


async def test_a_poisonous_entry_does_not_keep_its_neighbours(redis: Redis, queue: Queue, arq: ArqRedis) -> None:
    await arq.set(keys.ARQ_JOB + "a-poison", '{"f": "run_agent", "k": ' + "9" * 5000 + "}")
    await arq.zadd(keys.ARQ_QUEUE, {"a-poison": 1})
    await arq.enqueue_job(keys.JOB_FUNCTION, agent="assistant", input="hello", _job_id="b-good")

    assert [job.id for job in await taken_in(redis, queue)] == ["b-good"]
    await arq.zrem(keys.ARQ_QUEUE, "a-poison")
    await arq.delete(keys.ARQ_JOB + "a-poison")


async def test_an_id_that_names_another_key_stops_nobody(redis: Redis, queue: Queue, arq: ArqRedis) -> None:
    ours = await submitted(queue)
    await redis.rpush("sluice:job:odd:turns", "x")  # type: ignore[attr-defined]
    await arq.enqueue_job("other", _job_id="odd:turns")
    await arq.zadd(keys.ARQ_QUEUE, {"odd:turns": 1})
    await sweep(redis)

    assert [job.id for job in (await claim(queue, "a", 5)).jobs] == [ours]
    await arq.zrem(keys.ARQ_QUEUE, "odd:turns")
    await redis.delete("sluice:job:odd:turns")


async def test_a_deferred_entry_is_known_to_the_watch(redis: Redis, arq: ArqRedis) -> None:
    await arq.enqueue_job(keys.JOB_FUNCTION, agent="assistant", input="later", _defer_by=2)

    due = (await sweep(redis)).due

    assert due is not None
    assert 0 < due <= 2
    await arq.zrem(keys.ARQ_QUEUE, *await arq.zrange(keys.ARQ_QUEUE, 0, -1))


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        ("", "JSON"),
        ({"f": "other"}, "function"),
        ({"f": keys.JOB_FUNCTION, "a": [1]}, "agent="),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": {"agent": "a"}}, "agent="),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": {"agent": "a", "input": "x", "more": 1}}, "agent="),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": {"agent": "a", "input": " "}}, "empty"),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": {"agent": "a", "input": 3}}, "empty"),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": {"agent": "a", "input": "x", "priority": "urgent"}}, "urgent"),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": {"agent": "a", "input": "x", "session_id": "a b"}}, "session_id"),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": {"agent": "a", "input": "x", "session_id": 7}}, "session_id"),
        ({"f": keys.JOB_FUNCTION, "a": [], "k": ["agent", "input"]}, "agent="),
        ([1], "JSON"),
    ],
)
def test_what_cannot_be_run_says_why(blob: Any, reason: str) -> None:
    with pytest.raises(NotForUs, match=reason):
        _spec(blob if isinstance(blob, str) else json.dumps(blob), {})
