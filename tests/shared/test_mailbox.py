"""The mailbox of a job: a message is neither lost nor heard twice, and a job does not end well over one unheard."""

from typing import Any

import pytest

from shared import ids, keys
from shared.checkpoints import Checkpoints
from shared.errors import LeaseLost, Unheard
from shared.event_log import EventLog
from shared.inspector import Inspector
from shared.job import IncompleteReason, Job, JobError, WaitReason
from shared.mailbox import Mailbox, MailboxFull, Sent, TooLate
from shared.message import LONGEST_TOLD, MOST_UNHEARD, Message, MessageRecord
from shared.queue import Conclusion, Deletion, Queue
from shared.redis_client import Redis
from shared.states import Event, Status
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.shared.queueing import claim, claimed, submitted

OWNER = "a"
TURN = ModelRecord(1, [{"type": "text", "text": "hm"}], "end_turn", Usage(turns=1), "default", "m", None, 1)
WELL = Conclusion(Event.SUCCEED, output="hm")


class Bench:
    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.queue = Queue(redis, retention_ms=60_000)
        self.box = Mailbox(redis)
        self.checkpoints = Checkpoints(redis)

    async def held(self) -> Job:
        """A job that OWNER has."""
        await submitted(self.queue)
        (job,) = (await claim(self.queue, OWNER)).jobs
        return job

    async def say(self, job_id: str, content: str, **options: Any) -> Message:
        answer = await self.box.send(job_id, content, tenant="default", **options)
        assert isinstance(answer, Sent), answer
        return answer.message

    async def finish(self, job_id: str, conclusion: Conclusion = WELL, *, hears: bool = True) -> Status:
        return await self.queue.finish(OWNER, job_id, conclusion, hears=hears)

    async def told(self, job_id: str) -> list[dict[str, Any]]:
        page = await EventLog(self.redis).read(job_id, tenant="default")
        assert page is not None
        return [dict(event.data) | {"type": event.type} for event in page.events if event.type.startswith("message.")]


@pytest.fixture
def bench(redis: Redis) -> Bench:
    return Bench(redis)


async def test_a_message_to_a_waiting_job_is_known_from_its_record(bench: Bench) -> None:
    job_id = await submitted(bench.queue)
    said = await bench.say(job_id, 'Grüße, "Ada" \\ \N{SNOWMAN}')
    (job,) = (await claim(bench.queue, OWNER)).jobs

    assert job.mail
    heard = await bench.box.hear(OWNER, job_id, 0, 0)

    assert heard == [MessageRecord(0, said.id, said.content, said.at_ms)]
    assert await bench.checkpoints.load(job_id) == heard
    assert not await bench.redis.hexists(keys.job(job_id), "mail")


async def test_a_message_to_a_running_job_is_known_from_the_next_checkpoint(bench: Bench) -> None:
    job = await bench.held()
    assert not job.mail
    said = [await bench.say(job.id, text) for text in ("one", "two")]

    assert await bench.checkpoints.append(OWNER, job.id, 0, TURN)
    assert await bench.checkpoints.append(OWNER, job.id, 0, TURN), "a repeat says so, too"
    heard = await bench.box.hear(OWNER, job.id, 1, 1)

    assert [(one.id, one.content, one.turn) for one in heard] == [(one.id, one.content, 1) for one in said]
    assert not await bench.checkpoints.append(OWNER, job.id, 3, TURN)


async def test_hearing_again_after_a_lost_answer_gives_the_same_and_what_came_since(bench: Bench) -> None:
    job = await bench.held()
    await bench.say(job.id, "one")
    await bench.box.hear(OWNER, job.id, 0, 0)
    await bench.say(job.id, "two")

    heard = await bench.box.hear(OWNER, job.id, 0, 0)

    assert [one.content for one in heard] == ["one", "two"]
    assert await bench.checkpoints.load(job.id) == heard


async def test_who_does_not_hold_the_job_hears_nothing(bench: Bench) -> None:
    job = await bench.held()
    await bench.say(job.id, "one")
    await bench.checkpoints.append(OWNER, job.id, 0, TURN)

    for owner, index in (("b", 1), (OWNER, 0), (OWNER, 2)):
        with pytest.raises(LeaseLost):
            await bench.box.hear(owner, job.id, index, 0)

    assert await bench.checkpoints.load(job.id) == [TURN]
    assert [one.content for one in await bench.box.hear(OWNER, job.id, 1, 1)] == ["one"]


async def test_a_worker_that_dies_between_takes_nothing_with_it(bench: Bench) -> None:
    job = await bench.held()
    await bench.say(job.id, "one")
    await bench.queue.release(OWNER, job.id, WaitReason.CAPACITY)
    (again,) = (await claim(bench.queue, "b")).jobs

    assert again.mail
    assert [one.content for one in await bench.box.hear("b", job.id, 0, 0)] == ["one"]


async def test_a_job_does_not_succeed_over_a_message(bench: Bench) -> None:
    job = await bench.held()
    await bench.say(job.id, "one")

    with pytest.raises(Unheard):
        await bench.finish(job.id)
    await bench.box.hear(OWNER, job.id, 0, 0)

    assert await bench.finish(job.id) == Status.SUCCEEDED


@pytest.mark.parametrize(
    ("conclusion", "status"),
    [
        (Conclusion(Event.STOP_SHORT, incomplete=IncompleteReason.MAX_TOKENS), Status.INCOMPLETE),
        (Conclusion(Event.FAIL, error=JobError("agent", "agent_error", "x", True)), Status.FAILED),
    ],
)
async def test_another_end_does_not_wait(bench: Bench, conclusion: Conclusion, status: Status) -> None:
    job = await bench.held()
    await bench.say(job.id, "one")

    assert await bench.finish(job.id, conclusion) == status


async def test_what_hears_nothing_succeeds(bench: Bench) -> None:
    job = await bench.held()
    await bench.say(job.id, "one")

    assert await bench.finish(job.id, hears=False) == Status.SUCCEEDED


async def test_a_job_that_is_to_be_cancelled_ends(bench: Bench) -> None:
    job = await bench.held()
    await bench.say(job.id, "one")
    await bench.queue.cancel(job.id)

    assert await bench.box.send(job.id, "two", tenant="default") == TooLate(Status.CANCELLING)
    assert await bench.finish(job.id) == Status.CANCELLED


async def test_a_finished_job_hears_nothing(bench: Bench) -> None:
    job = await bench.held()
    await bench.finish(job.id)

    assert await bench.box.send(job.id, "one", tenant="default") == TooLate(Status.SUCCEEDED)


async def test_another_tenants_job_is_one_that_there_is_not(bench: Bench) -> None:
    job = await bench.held()

    assert await bench.box.send(job.id, "one", tenant="globex") is None
    assert await bench.box.send(ids.new_job_id(), "one", tenant="default") is None
    assert not await bench.redis.exists(keys.JOB + job.id + keys.MAIL)


async def test_the_same_key_keeps_one_message_even_when_the_job_has_ended(bench: Bench) -> None:
    job = await bench.held()
    said = await bench.say(job.id, "one", key="k")
    assert await bench.box.send(job.id, "other", tenant="default", key="k") == Sent(said, before=True)
    await bench.box.hear(OWNER, job.id, 0, 0)
    await bench.finish(job.id)

    assert await bench.box.send(job.id, "one", tenant="default", key="k") == Sent(said, before=True)
    assert len(await bench.checkpoints.load(job.id)) == 1


async def test_so_many_wait_and_no_more(bench: Bench) -> None:
    job = await bench.held()
    for number in range(MOST_UNHEARD):
        await bench.say(job.id, str(number))
    assert await bench.box.send(job.id, "more", tenant="default") == MailboxFull()

    assert len(await bench.box.hear(OWNER, job.id, 0, 0)) == MOST_UNHEARD

    await bench.say(job.id, "more")
    await bench.box.hear(OWNER, job.id, MOST_UNHEARD, 0)


async def test_followers_are_told_of_both(bench: Bench) -> None:
    job = await bench.held()
    short, long = await bench.say(job.id, "short"), await bench.say(job.id, "x" * (LONGEST_TOLD + 1))
    await bench.box.hear(OWNER, job.id, 0, 0)

    assert await bench.told(job.id) == [
        {"type": "message.received", "message_id": short.id, "content": "short"},
        {"type": "message.received", "message_id": long.id, "content": None},
        {"type": "message.heard", "message_id": short.id, "after_turn": 0},
        {"type": "message.heard", "message_id": long.id, "after_turn": 0},
    ]


async def test_the_journal_shows_what_waits(bench: Bench) -> None:
    job = await bench.held()
    said = await bench.say(job.id, "one")
    journal = await Inspector(bench.redis).journal(job.id, tenant="default")
    assert journal is not None
    assert journal.unheard == [said]

    await bench.box.hear(OWNER, job.id, 0, 0)

    journal = await Inspector(bench.redis).journal(job.id, tenant="default")
    assert journal is not None
    assert (journal.unheard, len(journal.records)) == ([], 1)


async def test_it_goes_with_the_job(bench: Bench) -> None:
    job = await bench.held()
    await bench.say(job.id, "one", key="k")
    await bench.finish(job.id, hears=False)
    assert 0 < await bench.redis.pttl(keys.JOB + job.id + keys.MAIL) <= 60_000

    assert await bench.queue.delete(job.id, tenant="default") == Deletion.DELETED

    assert not [key async for key in bench.redis.scan_iter(match=f"*{job.id}*")]
    assert await claimed(bench.queue, OWNER) == []
