"""The line of a session: one live job, the others behind it in order, and nobody left there when it ends."""

import asyncio
from typing import Any

import pytest

from shared import ids, keys
from shared.inspector import Inspector
from shared.job import Job, Priority, Schedule, WaitReason
from shared.overview import Overview
from shared.pace import Place
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.sessions import Forgetting, Sessions
from shared.states import Event, Status
from shared.submission import Accepted, Caps, FullBecause, Outcome, QueueFull, SessionBusy, Submission, Withheld
from tests.shared.queueing import claimed, die, spec, sweep

SECOND = 1000
HOUR = 3600 * SECOND


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


def asking(session: str | None = "chat", *, alone: bool = False, **fields: Any) -> Submission:
    return Submission(ids.new_job_id(), spec(session_id=session, **fields), alone=alone)


async def accepted(queue: Queue, session: str | None = "chat", **fields: Any) -> str:
    (answer,) = await queue.submit_many([asking(session, **fields)])
    assert isinstance(answer, Accepted)
    return answer.job_id


async def record(redis: Any, job_id: str) -> Job:
    return Job.from_hash(job_id, await redis.hgetall(keys.job(job_id)))


async def line(redis: Any, session: str = "chat", tenant: str = "default") -> list[str]:
    found: list[str] = await redis.zrange(keys.session_line(tenant, session), 0, -1)
    return found


async def finish(queue: Queue, job_id: str, owner: str = "a") -> None:
    await queue.finish(owner, job_id, Conclusion(Event.SUCCEED, output="done"))


async def come_due(redis: Any, *job_ids: str) -> None:
    """The time has come for which these were scheduled."""
    for job_id in job_ids:
        await redis.hincrby(keys.job(job_id), "place", -HOUR)
    await redis.zadd(keys.RETURNING, dict.fromkeys(job_ids, 1), xx=True)
    await sweep(redis)


# The order


async def test_the_jobs_of_a_session_run_one_after_the_other(redis: Redis, queue: Queue) -> None:
    jobs = [await accepted(queue) for _ in range(3)]
    for job_id in jobs:
        assert await claimed(queue, "a", 10) == [job_id]
        assert await claimed(queue, "b", 10) == []
        await finish(queue, job_id)
    assert await claimed(queue, "a", 10) == []
    assert await line(redis) == []


async def test_the_order_is_that_of_the_submits_whatever_the_priority(redis: Redis, queue: Queue) -> None:
    jobs = [asking(priority=priority) for priority in (Priority.LOW, Priority.STANDARD, Priority.HIGH)]

    await queue.submit_many(jobs)

    assert await line(redis) == [job.job_id for job in jobs]
    for job in jobs:
        assert await claimed(queue, "a", 10) == [job.job_id]
        await finish(queue, job.job_id)


async def test_other_sessions_and_other_tenants_are_in_nobodys_way(queue: Queue) -> None:
    mine, other, theirs, none = (
        await accepted(queue),
        await accepted(queue, "another"),
        await accepted(queue, tenant="acme"),
        await accepted(queue, None),
    )
    await accepted(queue)

    assert set(await claimed(queue, "a", 10)) == {mine, other, theirs, none}


@pytest.mark.parametrize("odd", ["chat:line", "chat:history", "chat:notes", "chat:chat", "chat:"])
async def test_no_name_of_a_session_reaches_into_another(redis: Redis, queue: Queue, odd: str) -> None:
    jobs = [await accepted(queue, session) for session in ("chat", odd)]

    assert set(await claimed(queue, "a", 10)) == set(jobs)
    assert await line(redis, odd) == [jobs[1]]
    for job_id in jobs:
        await finish(queue, job_id)


async def test_one_that_is_let_in_has_its_place_from_its_submit(redis: Redis, queue: Queue) -> None:
    live, waiting, later = await accepted(queue), await accepted(queue), await accepted(queue, None)
    assert await claimed(queue, "a") == [live]
    revision = (await record(redis, waiting)).revision

    await finish(queue, live)

    job = await record(redis, waiting)
    assert (job.wait_reason, job.revision) == (None, revision + 1), "that it waits for a slot now is told"
    assert await claimed(queue, "a", 2) == [waiting, later]


async def test_a_worker_that_dies_leaves_its_job_live(redis: Redis, queue: Queue) -> None:
    live, waiting = await accepted(queue), await accepted(queue)
    await claimed(queue, "a")

    await die(redis, "a")

    assert await line(redis) == [live, waiting]
    assert await claimed(queue, "b", 10) == [live]
    await finish(queue, live, "b")
    assert await claimed(queue, "b", 10) == [waiting]


@pytest.mark.parametrize("delay_ms", [0, HOUR])
async def test_a_job_that_is_given_back_stays_live(redis: Redis, queue: Queue, delay_ms: int) -> None:
    live, waiting = await accepted(queue), await accepted(queue)
    await claimed(queue, "a")

    await queue.release("a", live, WaitReason.RATE_LIMIT, delay_ms=delay_ms)

    assert await claimed(queue, "b", 10) == ([] if delay_ms else [live])
    assert await line(redis) == [live, waiting]


@pytest.mark.parametrize("how", ["waits", "runs", "is given back", "its worker dies"])
async def test_a_live_job_that_is_cancelled_lets_the_next_in(redis: Redis, queue: Queue, how: str) -> None:
    live, waiting = await accepted(queue), await accepted(queue)
    if how != "waits":
        await claimed(queue, "a")
    await queue.cancel(live)
    if how == "runs":
        await queue.finish("a", live, Conclusion(Event.CONFIRM_CANCEL))
    elif how == "is given back":
        await queue.release("a", live, WaitReason.CAPACITY)
    elif how == "its worker dies":
        await die(redis, "a")

    assert await claimed(queue, "b", 10) == [waiting]


async def test_one_that_waits_can_be_cancelled_and_the_others_move_up(redis: Redis, queue: Queue) -> None:
    jobs = [await accepted(queue) for _ in range(4)]
    await claimed(queue, "a")

    assert await queue.cancel(jobs[2]) == Status.CANCELLED

    assert await line(redis) == [jobs[0], jobs[1], jobs[3]]
    assert await claimed(queue, "b", 10) == []


async def test_one_whose_time_to_live_ends_leaves_the_line(redis: Redis, queue: Queue) -> None:
    short = Schedule(ttl_ms=HOUR)
    jobs = [await accepted(queue, schedule=short), await accepted(queue, schedule=short), await accepted(queue)]
    await redis.zadd(keys.EXPIRING, {jobs[0]: 1, jobs[1]: 2})  # type: ignore[attr-defined]

    await sweep(redis)

    assert await line(redis) == [jobs[2]]
    assert await claimed(queue, "a", 10) == [jobs[2]]


async def test_who_is_let_in_wakes_a_worker(redis: Redis, queue: Queue) -> None:
    live, waiting = await accepted(queue), await accepted(queue)
    await claimed(queue, "a")
    waited = asyncio.create_task(redis.blpop([keys.WAKE], timeout=10))

    await finish(queue, live)

    assert await waited
    assert await claimed(queue, "b") == [waiting]


async def test_what_a_stock_client_does_to_an_entry_lets_nobody_past(redis: Any, queue: Queue) -> None:
    live, waiting = await accepted(queue), await accepted(queue)
    later = await accepted(queue, schedule=Schedule(delay_ms=HOUR))
    for job_id in (waiting, later):
        await redis.zadd(keys.ARQ_QUEUE, {job_id: 1})  # arq's Job.abort()

    assert await claimed(queue, "a", 10) == [live]
    assert await line(redis) == [live, waiting, later]
    assert (await record(redis, later)).wait_reason == WaitReason.SESSION_BUSY
    assert await redis.zcard(keys.RETURNING) == 0, "its time does not matter any more"


# Jobs for later


async def test_a_job_for_later_holds_nobody_back_until_it_is_due(redis: Redis, queue: Queue) -> None:
    later = await accepted(queue, schedule=Schedule(delay_ms=HOUR))
    first, second = await accepted(queue), await accepted(queue)
    assert await claimed(queue, "a", 10) == [first]

    await come_due(redis, later)

    assert await line(redis) == [first, second, later]
    job = await record(redis, later)
    assert (job.wait_reason, job.next_attempt_ms) == (WaitReason.SESSION_BUSY, None)
    for job_id in (first, second, later):
        await finish(queue, job_id)
        await claimed(queue, "a", 10)


async def test_jobs_that_come_due_together_run_in_the_order_of_their_submits(redis: Redis, queue: Queue) -> None:
    jobs = [await accepted(queue, schedule=Schedule(delay_ms=HOUR)) for _ in range(3)]

    await come_due(redis, *jobs)

    assert await line(redis) == jobs
    assert await claimed(queue, "a", 10) == jobs[:1]


async def test_a_job_for_later_can_be_cancelled_without_a_session(redis: Redis, queue: Queue) -> None:
    later = await accepted(queue, schedule=Schedule(delay_ms=HOUR))
    live = await accepted(queue)

    await queue.cancel(later)

    assert await line(redis) == [live]


# Conflicts


async def test_who_wants_the_session_alone_is_told_who_has_it(queue: Queue) -> None:
    live = await accepted(queue)
    await accepted(queue)

    (answer,) = await queue.submit_many([asking(alone=True)])
    assert answer == SessionBusy(live)

    (answer,) = await queue.submit_many([asking("another", alone=True)])
    assert isinstance(answer, Accepted)


async def test_a_refusal_uses_no_idempotency_key_up(queue: Queue) -> None:
    live = await accepted(queue)
    wanted = Submission(ids.new_job_id(), spec(session_id="chat"), "key", "print", alone=True)
    assert await queue.submit_many([wanted]) == [SessionBusy(live)]
    await queue.cancel(live)

    (answer,) = await queue.submit_many([wanted])

    assert isinstance(answer, Accepted)
    (again,) = await queue.submit_many([wanted])
    assert isinstance(again, Accepted), "its own session is not busy for a repeat"


def kinds(answers: list[Outcome]) -> list[type[Outcome]]:
    return [type(answer) for answer in answers]


async def test_in_one_call_the_first_has_the_session(redis: Redis, queue: Queue) -> None:
    jobs = [asking(alone=True), asking(alone=True), asking(), asking("another", alone=True)]

    together = await queue.submit_many(jobs, together=True)
    assert kinds(together) == [Withheld, SessionBusy, Withheld, Withheld]
    assert await line(redis) == []

    one_by_one = await queue.submit_many(jobs)
    assert kinds(one_by_one) == [Accepted, SessionBusy, Accepted, Accepted]


# What is told of those that wait


async def test_those_that_wait_for_their_session_are_counted_as_that(redis: Redis, queue: Queue) -> None:
    await accepted(queue)
    answer = (await queue.submit_many([asking()]))[0]
    assert isinstance(answer, Accepted)
    assert answer.wait_reason == WaitReason.SESSION_BUSY

    whole = (await Overview(redis).queue()).whole
    assert (whole.waiting, whole.wait_reasons) == (2, {WaitReason.SESSION_BUSY: 1})


async def place(redis: Redis, job_id: str) -> tuple[Place | None, float | None]:
    sighting = await Inspector(redis).job(job_id, tenant="default")
    assert sighting is not None
    return sighting.place, sighting.place.wait_seconds(sighting.pace) if sighting.place else None


async def test_the_place_of_one_that_waits_for_its_session(redis: Any, queue: Queue) -> None:
    await redis.hset(keys.PACE, mapping={"busy_ms": 10_000, "ended": 10, "slots": 5, "summed_ms": 10**14})
    await redis.expire(keys.PACE, 60)
    others = [await accepted(queue, None) for _ in range(2)]
    jobs = [await accepted(queue) for _ in range(3)]
    assert (await queue.submit_many([asking()]))[0].ahead == 5  # type: ignore[union-attr]

    assert await place(redis, jobs[0]) == (Place(2), 0)
    assert await place(redis, jobs[2]) == (Place(4, behind=2), 20)

    assert await claimed(queue, "a", 3) == [*others, jobs[0]]
    assert await place(redis, jobs[1]) == (Place(0, running=3, behind=1), 10)
    assert await place(redis, jobs[2]) == (Place(1, running=3, behind=2), 20)

    await queue.release("a", jobs[0], WaitReason.RATE_LIMIT, delay_ms=HOUR)
    assert await place(redis, jobs[2]) == (Place(2, running=2, behind=-1), None)


async def test_a_long_line_makes_nobody_else_wait(redis: Any, queue: Queue) -> None:
    await redis.hset(keys.PACE, mapping={"busy_ms": 10_000, "ended": 10, "slots": 1, "summed_ms": 10**14})
    await redis.expire(keys.PACE, 60)
    for _ in range(5):
        await accepted(queue)
    assert await claimed(queue, "a") != []
    caps = Caps(max_wait_seconds=15)

    (free,) = await queue.submit_many([asking(None, tenant="acme")], caps=caps)
    (full,) = await queue.submit_many([asking(None, tenant="acme")], caps=caps)
    (late,) = await queue.submit_many([asking(None, tenant="acme")], caps=caps)

    assert isinstance(free, Accepted)
    assert free.ahead == 0
    assert isinstance(full, Accepted)
    assert isinstance(late, QueueFull)
    assert late.because == FullBecause.WAIT


async def commands(redis: Any, work: Any) -> dict[str, int]:
    await redis.config_resetstat()
    await work
    return {name: seen["calls"] for name, seen in (await redis.info("commandstats")).items()}


async def test_a_claim_costs_the_same_however_long_the_line_is(redis: Redis, queue: Queue) -> None:
    async def costs() -> dict[str, int]:
        return await commands(redis, claimed(queue, "a", 5))

    await accepted(queue)
    await accepted(queue)
    await claimed(queue, "warm-up")
    short = await costs()
    for _ in range(10):
        answers = await queue.submit_many([asking() for _ in range(100)])
        assert set(kinds(answers)) == {Accepted}

    assert await costs() == short
    before = await accepted(queue, None)
    assert await claimed(queue, "a", 5) == [before]


# What is left


async def test_nothing_of_a_session_runs_out_while_a_job_of_it_lives(redis: Any, queue: Queue) -> None:
    names = [keys.session_history("default", "chat"), keys.session_notes("default", "chat")]
    await redis.rpush(names[0], "said")
    await redis.hset(names[1], "title", "text")
    for name in names:
        await redis.expire(name, 5)

    live, waiting = await accepted(queue), await accepted(queue)
    await claimed(queue, "a")
    assert [await redis.ttl(name) for name in names] == [-1, -1]
    await finish(queue, live)
    assert [await redis.ttl(name) for name in names] == [-1, -1], "another one goes on"
    await queue.cancel(waiting)

    for name in names:
        assert 3500 < await redis.ttl(name) <= 3600


async def test_a_session_is_forgotten_when_it_is_told_to_and_nobody_is_at_it(redis: Any, queue: Queue) -> None:
    sessions = Sessions(redis)
    assert await sessions.forget("default", "chat") == (Forgetting.UNKNOWN, "")
    live = await accepted(queue)
    assert await sessions.forget("default", "chat") == (Forgetting.BUSY, live)
    await redis.hset(keys.session_notes("default", "chat"), "title", "text")
    await queue.cancel(live)
    assert await sessions.forget("acme", "chat") == (Forgetting.UNKNOWN, "")

    assert await sessions.forget("default", "chat") == (Forgetting.DELETED, "")

    assert await sessions.read("default", "chat") is None
    assert await redis.exists(keys.session_notes("default", "chat")) == 0
