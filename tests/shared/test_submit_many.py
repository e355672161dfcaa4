"""Submits of many jobs in one call: each is atomic, in order, or all of them together."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from shared import ids, keys
from shared.job import Schedule
from shared.queue import Queue
from shared.redis_client import Redis
from shared.submission import (
    Accepted,
    Caps,
    FullBecause,
    KeyConflict,
    Outcome,
    QueueFull,
    Replayed,
    Submission,
    Withheld,
)
from tests.shared.queueing import claimed, spec


def asking(*names: str, **fields: Any) -> list[Submission]:
    """Jobs with these idempotency keys; '' for none. The text after a `=` is the fingerprint."""
    parted = [name.partition("=") for name in names]
    return [Submission(ids.new_job_id(), spec(**fields), key or None, print) for key, _, print in parted]


def kinds(answers: list[Outcome]) -> list[type[Outcome]]:
    return [type(answer) for answer in answers]


def queue_of(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def records(redis: Any) -> int:
    return sum([1 async for _ in redis.scan_iter(match=f"{keys.ARQ_JOB}*")])


async def test_jobs_come_in_as_they_are_given(redis: Redis) -> None:
    queue, jobs = queue_of(redis), asking("", "", "")

    answers = await queue.submit_many(jobs)

    assert [answer.ahead for answer in answers if isinstance(answer, Accepted)] == [0, 1, 2]
    assert await claimed(queue, "a", 3) == [job.job_id for job in jobs]


async def test_each_is_judged_by_itself(redis: Redis) -> None:
    queue = queue_of(redis)
    jobs = asking("a=1", "", "a=1", "a=2", "", "a=1")

    answers = await queue.submit_many(jobs, caps=Caps(max_depth=2))

    assert kinds(answers) == [Accepted, Accepted, Replayed, KeyConflict, QueueFull, Replayed]
    assert await records(redis) == 2


@pytest.mark.parametrize(
    ("caps", "because"),
    [(Caps(max_depth=3), FullBecause.DEPTH), (Caps(max_waiting=3), FullBecause.TENANT)],
)
async def test_as_many_come_in_as_there_is_room(redis: Redis, caps: Caps, because: FullBecause) -> None:
    answers = await queue_of(redis).submit_many(asking(*[""] * 5), caps=caps)

    assert kinds(answers) == [Accepted] * 3 + [QueueFull] * 2
    assert {answer.because for answer in answers if isinstance(answer, QueueFull)} == {because}


@pytest.mark.parametrize("caps", [Caps(max_depth=4), Caps(max_waiting=4)])
async def test_together_all_come_in_or_none(redis: Redis, caps: Caps) -> None:
    queue = queue_of(redis)
    answers = await queue.submit_many(asking("a", *[""] * 4), caps=caps, together=True)
    assert kinds(answers) == [Withheld] * 4 + [QueueFull]
    assert await records(redis) == 0
    assert await redis.hgetall(keys.idempotency("default", "a")) == {}, "a refusal uses no key up"

    assert kinds(await queue.submit_many(asking("a", *[""] * 3), caps=caps, together=True)) == [Accepted] * 4


async def test_together_they_wait_no_longer_than_one_may(redis: Any) -> None:
    """Two come in where the third would wait too long; one that is due later takes nobody's turn."""
    queue, caps = queue_of(redis), Caps(max_wait_seconds=15)
    now = (await redis.time())[0] * 1000
    await redis.hset(keys.PACE, mapping={"busy_ms": 10_000, "ended": 10, "slots": 1, "summed_ms": now})
    await redis.expire(keys.PACE, 60)
    later = asking(*[""] * 5, schedule=Schedule(delay_ms=60_000))

    assert kinds(await queue.submit_many(asking(*[""] * 4), caps=caps, together=True)) == [Withheld] * 3 + [QueueFull]
    assert kinds(await queue.submit_many(later + asking(*[""] * 3), caps=caps, together=True)) == [Accepted] * 8


async def test_together_a_conflict_keeps_all_out(redis: Redis) -> None:
    queue = queue_of(redis)
    await queue.submit_many(asking("old=1"))

    for keyed in (["old=1", "", "old=2"], ["old=1", "new=1", "new=2"], ["old=2", "new=1", "new=1"]):
        answers = await queue.submit_many(asking(*keyed), together=True)
        assert sorted(Counter(kinds(answers)).values()) == [1, 2]
        assert KeyConflict in kinds(answers)
    assert await records(redis) == 1

    answers = await queue.submit_many(asking("old=1", "new=1", "new=1"), together=True)
    assert kinds(answers) == [Replayed, Accepted, Replayed]


@pytest.mark.parametrize("together", [True, False])
async def test_a_call_repeated_after_a_lost_answer_counts_once(redis: Redis, together: bool) -> None:
    queue, jobs = queue_of(redis), asking("a", "", "b")
    first = await queue.submit_many(jobs, caps=Caps(max_depth=3), together=together)
    again = await queue.submit_many(jobs, caps=Caps(max_depth=3), together=together)

    assert [answer.job_id for answer in again if isinstance(answer, Accepted)] == [job.job_id for job in jobs]
    assert kinds(again) == kinds(first)
    assert await records(redis) == 3


async def test_racing_calls_with_the_same_keys_make_each_job_once(redis: Redis) -> None:
    queue, names = queue_of(redis), [f"k{i}" for i in range(20)]
    many = [queue.submit_many(asking(*names[i:], *names[:i]), together=i % 2 == 0) for i in range(20)]
    single = [queue.submit(ids.new_job_id(), spec(), idempotency_key=name) for name in names]

    await asyncio.gather(*many, *single)

    assert await records(redis) == 20


async def test_the_place_knows_what_the_tenant_runs(redis: Redis) -> None:
    queue = queue_of(redis)
    await queue.submit_many(asking("", ""))
    await claimed(queue, "a", 2)

    (answer,) = await queue.submit_many(asking(""))

    assert isinstance(answer, Accepted)
    assert answer.running == 2
