"""Events of jobs: one for each change of status, in the script that changes it; what workers tell; what is kept."""

import json
from typing import Any

import pytest

from shared import events, ids, keys, scripts
from shared.checkpoints import Checkpoints
from shared.errors import LeaseLost
from shared.event_log import EventLog, EventPage
from shared.job import IncompleteReason, JobError, Schedule, WaitReason
from shared.queue import Conclusion, Queue
from shared.states import Event, Status
from shared.turn import ResultRecord
from tests.shared.queueing import claim, claimed, die, spec, submitted, sweep

OWNER = "worker-a"


@pytest.fixture
def queue(redis: Any) -> Queue:
    return Queue(redis, retention_ms=60_000)


@pytest.fixture
def log(redis: Any) -> EventLog:
    return EventLog(redis)


@pytest.fixture
async def job_id(queue: Queue) -> str:
    """A job that OWNER holds."""
    made = await submitted(queue)
    assert await claimed(queue, OWNER) == [made]
    return made


async def read(log: EventLog, job_id: str, after: int = 0, **options: Any) -> EventPage:
    page = await log.read(job_id, tenant="default", after=after, **options)
    assert page is not None
    return page


async def types(log: EventLog, job_id: str) -> list[str]:
    page = await read(log, job_id)
    assert [event.id for event in page.events] == list(range(1, len(page.events) + 1)), "numbered without gaps"
    assert page.last == len(page.events)
    return [event.type for event in page.events]


def told(ticket: str, *told: tuple[str, dict[str, Any]], age_ms: int = 0) -> str:
    news = [
        [type, age_ms, json.dumps(data), *([data["turn"]] if type == "turn.started" else [])] for type, data in told
    ]
    return json.dumps([[ticket, news]])


def text(words: str) -> tuple[str, dict[str, Any]]:
    return "text.delta", {"turn": 1, "text": words}


async def test_a_job_that_waits_has_one_event_and_nothing_is_kept_for_it(
    redis: Any, queue: Queue, log: EventLog
) -> None:
    job_id = await submitted(queue)
    page = await read(log, job_id)
    (event,) = page.events
    assert (event.id, event.type, event.data) == (1, "job.queued", {"status": "queued", "revision": 1})
    assert event.at_ms == int(await redis.hget(keys.job(job_id), "created_ms"))
    assert not page.complete
    assert not await redis.exists(keys.events(job_id))


async def test_each_change_of_status_is_an_event(queue: Queue, log: EventLog, job_id: str) -> None:
    await queue.release(OWNER, job_id, WaitReason.RATE_LIMIT)
    await claimed(queue, OWNER)
    await queue.cancel(job_id)
    await queue.cancel(job_id)
    await queue.finish(OWNER, job_id, Conclusion(Event.SUCCEED, output="too late"))
    assert await types(log, job_id) == [
        "job.queued",
        "job.running",
        "job.queued",
        "job.running",
        "job.cancelling",
        "job.cancelled",
    ]
    page = await read(log, job_id)
    assert page.complete
    assert [event.data["status"] for event in page.events] == [event.type.split(".")[1] for event in page.events]
    revisions = [event.data["revision"] for event in page.events]
    assert revisions == sorted(set(revisions))
    assert page.events[2].data["wait_reason"] == "rate_limit"


async def test_an_end_says_why(queue: Queue, log: EventLog) -> None:
    error = JobError("provider", "overloaded", 'no "luck"', True)
    ends = {
        "job.failed": (Conclusion(Event.FAIL, error=error), {"error": vars_of(error)}),
        "job.incomplete": (
            Conclusion(Event.STOP_SHORT, output="half", incomplete=IncompleteReason.MAX_TURNS, message='"3" turns.'),
            {"incomplete_details": {"reason": "max_turns", "message": '"3" turns.'}},
        ),
        "job.succeeded": (Conclusion(Event.SUCCEED, output="done"), {}),
    }
    for kind, (conclusion, said) in ends.items():
        job_id = await submitted(queue)
        await claimed(queue, OWNER)
        await queue.finish(OWNER, job_id, conclusion)
        last = (await read(log, job_id)).events[-1]
        assert last.type == kind
        assert {name: value for name, value in last.data.items() if name not in ("status", "revision")} == said


def vars_of(error: JobError) -> dict[str, Any]:
    return {"type": error.type, "code": error.code, "message": error.message, "retryable": error.retryable}


async def test_a_dead_worker_and_a_job_that_expired_are_told(
    redis: Any, queue: Queue, log: EventLog, job_id: str
) -> None:
    await die(redis, OWNER)
    assert await types(log, job_id) == ["job.queued", "job.running", "job.queued"]
    assert (await read(log, job_id)).events[-1].data["worker_lost"] is True
    await queue.cancel(job_id)

    late = await submitted(queue, schedule=Schedule(ttl_ms=60_000))
    await redis.zadd(keys.EXPIRING, {late: 1})
    await sweep(redis)
    assert await types(log, late) == ["job.queued", "job.expired"]


async def test_a_repeated_finish_or_claim_is_told_once(queue: Queue, log: EventLog) -> None:
    job_id = await submitted(queue)
    for _ in range(2):
        await queue.claim(OWNER, ticket=77, wanted=1, suspects=1)
    for _ in range(2):
        await queue.finish(OWNER, job_id, Conclusion(Event.SUCCEED, output="done"))
    assert await types(log, job_id) == ["job.queued", "job.running", "job.succeeded"]


async def test_what_a_worker_tells_is_kept_once(log: EventLog, job_id: str, queue: Queue) -> None:
    batch = told("1.1", ("turn.started", {"turn": 1}), text('Grüße, "Ada" \\ \N{SNOWMAN} \0 \u2028'), age_ms=5)
    for _ in range(2):
        assert await log.tell(OWNER, job_id, batch, [])
    assert await types(log, job_id) == ["job.queued", "job.running", "turn.started", "text.delta"]
    assert (await read(log, job_id)).events[-1].data["text"] == 'Grüße, "Ada" \\ \N{SNOWMAN} \0 \u2028'


async def test_who_does_not_hold_the_job_tells_nothing(log: EventLog, job_id: str, queue: Queue) -> None:
    assert not await log.tell("worker-b", job_id, told("1.1", text("x")), [])
    await queue.release(OWNER, job_id, WaitReason.CAPACITY)
    assert not await log.tell(OWNER, job_id, told("1.1", text("x")), [])
    assert "text.delta" not in await types(log, job_id)


async def test_a_turn_that_begins_again_is_told_as_that(log: EventLog, job_id: str) -> None:
    for number, turn in enumerate([1, 1, 2, 2, 2, 3]):
        await log.tell(OWNER, job_id, told(f"1.{number}", ("turn.started", {"turn": turn})), [])
    page = await read(log, job_id)
    assert [(event.type, event.data["turn"]) for event in page.events[2:]] == [
        ("turn.started", 1),
        ("turn.restarted", 1),
        ("turn.started", 2),
        ("turn.restarted", 2),
        ("turn.restarted", 2),
        ("turn.started", 3),
    ]


async def test_a_checkpoint_tells_what_was_not_told_once(redis: Any, log: EventLog, job_id: str) -> None:
    checkpoints, record = Checkpoints(redis), ResultRecord(1, "x", "clock", "noon", False, 1)
    await log.tell(OWNER, job_id, told("1.1", text("one")), [])  # its answer was lost
    both = json.dumps([*json.loads(told("1.1", text("one"))), *json.loads(told("1.2", text("two")))])
    for _ in range(2):
        await checkpoints.append(OWNER, job_id, 0, record, both)
    assert [event.data.get("text") for event in (await read(log, job_id)).events[2:]] == ["one", "two"]
    with pytest.raises(LeaseLost):
        await checkpoints.append("worker-b", job_id, 1, record, told("9.9", text("not mine")))
    assert len(await types(log, job_id)) == 4


async def test_pages_join_without_a_gap(log: EventLog, job_id: str) -> None:
    for number in range(30):
        await log.tell(OWNER, job_id, told(f"1.{number}", text(str(number))), [])
    found, after = [], 0
    while True:
        page = await read(log, job_id, after, most=7)
        found += page.events
        after = page.cursor
        if not page.has_more:
            break
        assert len(page.events) == 7
    assert [event.id for event in found] == list(range(1, 33))
    assert (await read(log, job_id, 32)).events == []
    assert (await read(log, job_id, 10**15)).after == 32, "a number that Redis has lost"


async def test_large_events_come_in_small_pages(log: EventLog, job_id: str) -> None:
    await log.tell(OWNER, job_id, told("1.1", *[text("x" * 8000)] * 400), [])
    page = await read(log, job_id)
    assert page.has_more
    assert 100 < len(page.events) < 250


async def test_a_reader_that_is_too_late_is_told_what_it_missed(
    redis: Any, queue: Queue, log: EventLog, job_id: str
) -> None:
    for number in range(300):
        await log.tell(OWNER, job_id, told(f"1.{number}", text(str(number))), [])
    await redis.xtrim(keys.events(job_id), maxlen=100, approximate=False)

    page = await read(log, job_id)
    assert page.events[0].type == "job.queued"
    gap = page.events[1]
    assert (gap.type, gap.id, gap.data) == ("events.dropped", 202, {"after": 1, "before": 203})
    assert [event.id for event in page.events[2:]] == list(range(203, 303))
    assert (await read(log, job_id, 50)).events[0].data == {"after": 50, "before": 203}
    assert (await read(log, job_id, gap.id)).events[0].id == 203, "who goes on behind the gap is not told again"


async def test_no_job_keeps_more_than_a_bound(
    redis: Any, log: EventLog, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "MOST_EVENTS", 200)
    for cached in (scripts.script, scripts._lua_constants):
        cached.cache_clear()
    try:
        await log.tell(OWNER, job_id, told("1.1", *[text(str(number)) for number in range(1000)]), [])
        assert 200 <= await redis.xlen(keys.events(job_id)) <= 300
    finally:
        for cached in (scripts.script, scripts._lua_constants):
            cached.cache_clear()
    assert events.MOST_EVENTS > 1000


async def test_events_live_as_long_as_the_job_and_take_little(redis: Any, queue: Queue, job_id: str) -> None:
    await queue.finish(OWNER, job_id, Conclusion(Event.SUCCEED, output="done"))
    ttl, of_job = await redis.pttl(keys.events(job_id)), await redis.pttl(keys.job(job_id))
    assert abs(ttl - of_job) < 1000
    assert await redis.memory_usage(keys.events(job_id), samples=0) < 1000
    assert not [key async for key in redis.scan_iter(match=f"*{keys.PACKED}")]


async def test_nobody_sees_anothers_events_or_those_of_no_job(redis: Any, queue: Queue, log: EventLog) -> None:
    job_id = await submitted(queue, "acme")
    assert await log.read(job_id, tenant="acme") is not None
    assert await log.read(job_id, tenant="default") is None
    assert await log.read(ids.new_job_id(), tenant="default") is None
    await redis.set(keys.job("job_strange"), "x", ex=60)
    assert await log.read("job_strange", tenant="default") is None


async def test_a_page_tells_whether_a_worker_holds_the_job(queue: Queue, log: EventLog) -> None:
    job_id = await submitted(queue)
    assert not (await read(log, job_id)).held
    await claim(queue, OWNER)
    page = await read(log, job_id)
    assert page.held
    assert page.status == Status.RUNNING


async def test_followers_and_workers_hear_of_each_other(redis: Any, queue: Queue, log: EventLog, job_id: str) -> None:
    waiting = await queue.submit(ids.new_job_id(), spec())
    async with redis.pubsub(ignore_subscribe_messages=False) as ear:
        await ear.subscribe(keys.CONTROL + OWNER, keys.NEWS + "api-1", keys.NEWS + "api-2")
        await log.follow("api-1", [job_id, waiting.job_id, ids.new_job_id()])
        await log.tell(OWNER, job_id, told("1.1", text("x")), ["api-1", "api-2"])
        heard = []
        while len(heard) < 3:
            message = await ear.get_message(timeout=10)
            assert message is not None
            if message["type"] == "message":
                heard.append((message["channel"], message["data"]))
    assert heard == [
        (keys.CONTROL + OWNER, f"follow {job_id} api-1"),
        (keys.NEWS + "api-1", job_id),
        (keys.NEWS + "api-2", job_id),
    ]
