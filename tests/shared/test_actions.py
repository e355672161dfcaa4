"""Questions to persons in the store: asked, listed, decided, expired, withdrawn; and the job in between."""

import json
from typing import Any

import pytest

from shared import ids, keys
from shared.action import Action, ActionKind, ActionStatus, Answer, Asked, Decision, DecisionRecord
from shared.actions import Actions, Taken
from shared.checkpoints import Checkpoints
from shared.errors import LeaseLost
from shared.inspector import Inspector, JobFilter
from shared.job import Job, Schedule
from shared.journal import from_json
from shared.queue import Conclusion, Deletion, Queue
from shared.redis_client import Redis
from shared.states import Event, Status
from shared.submission import Caps
from shared.turn import IntentRecord
from shared.webhook import JOB_URLS, Webhook
from tests.shared.queueing import asked, claim, claimed, spec, submitted, sweep

WAIT_MS, RETENTION_MS = 500_000, 60_000


class Bench:
    """A queue with a worker that asks."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.queue = Queue(redis, retention_ms=RETENTION_MS)
        self.actions = Actions(redis)
        self.inspector = Inspector(redis)

    async def running(self, tenant: str = "default", **options: Any) -> Job:
        job_id = await submitted(self.queue, tenant, **options)
        (job,) = (await claim(self.queue, "a")).jobs
        assert job.id == job_id
        return job

    async def ask(self, job: Job, *questions: Asked) -> Status:
        return await self.actions.ask("a", job, questions, wait_ms=WAIT_MS, retention_ms=RETENTION_MS)

    async def waiting(self, count: int = 1, tenant: str = "default", **options: Any) -> tuple[Job, list[Asked]]:
        """A job that waits for so many answers."""
        job = await self.running(tenant, **options)
        questions = [asked(job.id) for _ in range(count)]
        assert await self.ask(job, *questions) == Status.REQUIRES_ACTION
        return job, questions

    async def decide(self, question: Asked, answer: Answer | None = None, tenant: str = "default") -> Taken:
        return await self.actions.decide(question, answer or Answer(Decision.APPROVE), tenant=tenant)

    async def action(self, question: Asked) -> Action:
        found = await self.actions.find(question.job_id, question.id, tenant="default")
        assert found is not None
        return found

    async def job(self, job_id: str) -> Job:
        sighting = await self.inspector.job(job_id, tenant="default")
        assert sighting is not None
        return sighting.job

    async def decisions(self, job_id: str) -> list[Any]:
        return [from_json(line) for line in await self.redis.lrange(keys.turns(job_id), 0, -1)]

    async def times_up(self, job_id: str) -> None:
        await self.redis.zadd(keys.DECIDING, {job_id: 1}, xx=True)
        await sweep(self.redis)

    async def inbox(self, tenant: str = "default") -> list[str]:
        return [one.asked.id for one in (await self.actions.inbox(tenant, limit=100)).actions]

    async def nothing_is_left_waiting(self) -> None:
        assert await self.inbox() == []
        assert await self.redis.zcard(keys.DECIDING) == 0


@pytest.fixture
def bench(redis: Redis) -> Bench:
    return Bench(redis)


async def test_a_job_that_asks_gives_up_its_slot_and_is_parked(bench: Bench, redis: Any) -> None:
    job, (question,) = await bench.waiting()

    assert await redis.hgetall(keys.LEASES) == {}
    assert await redis.get(keys.ARQ_IN_PROGRESS + job.id) is None
    assert await claimed(bench.queue, "b") == []
    seen = await bench.job(job.id)
    assert seen.status == Status.REQUIRES_ACTION
    assert [one.asked for one in seen.actions] == [question]
    assert seen.actions[0].expires_ms - seen.actions[0].asked_ms == WAIT_MS
    assert await redis.hgetall(keys.COUNTS) == {"default:requires_action": "1", ":requires_action": "1"}


async def test_the_next_job_of_a_tenant_with_a_cap_may_run_meanwhile(bench: Bench) -> None:
    caps = Caps(max_running=1)
    job = await bench.running("acme", caps=caps)
    other = await submitted(bench.queue, "acme", caps=caps)
    assert await claimed(bench.queue, "b") == []

    await bench.ask(job, asked(job.id))

    assert await claimed(bench.queue, "b") == [other]


async def test_decided_it_goes_on_at_its_old_place(bench: Bench) -> None:
    job, (question,) = await bench.waiting()
    later = await submitted(bench.queue)

    assert await bench.decide(question) == Taken.TAKEN

    assert await claimed(bench.queue, "b", 2) == [job.id, later]
    assert await bench.decisions(job.id) == [DecisionRecord(1, question.tool_call_id, Decision.APPROVE)]
    await bench.nothing_is_left_waiting()


async def test_it_waits_for_the_last_answer(bench: Bench) -> None:
    job, (first, second) = await bench.waiting(2)
    before = (await bench.job(job.id)).revision

    await bench.decide(second, Answer(Decision.DENY, comment="No."))

    seen = await bench.job(job.id)
    assert seen.status == Status.REQUIRES_ACTION
    assert seen.revision > before, "who waits for a change hears of it"
    assert [one.asked.id for one in seen.actions] == [first.id]
    assert await bench.inbox() == [first.id]

    await bench.decide(first, Answer(Decision.EDIT, {"what": "half"}))

    assert (await bench.job(job.id)).status == Status.QUEUED
    assert await bench.decisions(job.id) == [
        DecisionRecord(1, second.tool_call_id, Decision.DENY, comment="No."),
        DecisionRecord(1, first.tool_call_id, Decision.EDIT, {"what": "half"}),
    ]


async def test_a_decision_is_kept_with_its_question(bench: Bench) -> None:
    _, (question,) = await bench.waiting()
    answer = Answer(Decision.EDIT, {"what": []}, "Ü“\n")
    await bench.decide(question, answer)

    action = await bench.action(question)

    assert (action.asked, action.answer, action.status) == (question, answer, ActionStatus.DECIDED)
    assert action.decided_ms is not None
    assert action.decided_ms >= action.asked_ms


async def test_decided_twice_the_first_counts(bench: Bench) -> None:
    job, (question, _) = await bench.waiting(2)
    await bench.decide(question, Answer(Decision.DENY))

    assert await bench.decide(question) == Taken.CLOSED

    assert (await bench.action(question)).answer == Answer(Decision.DENY)
    assert len(await bench.decisions(job.id)) == 1


async def test_nobody_decides_for_another_tenant(bench: Bench) -> None:
    _, (question,) = await bench.waiting()

    assert await bench.decide(question, tenant="acme") == Taken.UNKNOWN
    assert await bench.actions.find(question.job_id, question.id, tenant="acme") is None
    assert await bench.inbox("acme") == []
    assert await bench.inbox() == [question.id]


async def test_an_action_of_another_job_is_unknown(bench: Bench) -> None:
    job, (question,) = await bench.waiting()
    stray = asked(job.id)
    assert await bench.decide(stray) == Taken.UNKNOWN
    assert await bench.actions.find(job.id, stray.id, tenant="default") is None
    assert await bench.inbox() == [question.id]


async def test_what_nobody_decides_expires_and_the_job_goes_on(bench: Bench) -> None:
    job, (first, second) = await bench.waiting(2)
    await bench.decide(first)

    await bench.times_up(job.id)

    assert (await bench.action(second)).status == ActionStatus.EXPIRED
    assert (await bench.action(first)).status == ActionStatus.DECIDED
    assert (await bench.decisions(job.id))[-1] == DecisionRecord(1, second.tool_call_id, Decision.EXPIRED)
    assert await bench.decide(second) == Taken.CLOSED
    await bench.nothing_is_left_waiting()
    assert await claimed(bench.queue, "b") == [job.id]


async def test_the_watch_is_called_for_the_time_when_it_expires(bench: Bench, redis: Redis) -> None:
    await bench.waiting()
    look = await sweep(redis)
    assert look.due == pytest.approx(WAIT_MS / 1000, abs=60)


async def test_it_waits_no_longer_than_its_deadline(bench: Bench, redis: Any) -> None:
    now_ms = (await redis.time())[0] * 1000
    job, (question,) = await bench.waiting(schedule=Schedule(deadline_ms=now_ms + 100_000))
    assert (await bench.action(question)).expires_ms == now_ms + 100_000
    assert await redis.zscore(keys.DECIDING, job.id) == now_ms + 100_000


@pytest.mark.parametrize("asks", [1, 3])
async def test_a_cancel_withdraws_what_it_asked(bench: Bench, asks: int, redis: Any) -> None:
    job, questions = await bench.waiting(asks)

    assert await bench.queue.cancel(job.id) == Status.CANCELLED

    await bench.nothing_is_left_waiting()
    for question in questions:
        assert (await bench.action(question)).status == ActionStatus.WITHDRAWN
        assert await bench.decide(question) == Taken.CLOSED
    assert await bench.decisions(job.id) == []
    assert 0 < await redis.pttl(keys.actions(job.id)) <= RETENTION_MS


async def test_a_job_that_is_being_cancelled_asks_nobody(bench: Bench, redis: Any) -> None:
    job = await bench.running()
    await bench.queue.cancel(job.id)

    assert await bench.ask(job, asked(job.id)) == Status.CANCELLED

    await bench.nothing_is_left_waiting()
    assert not await redis.exists(keys.actions(job.id))


async def test_deleted_nothing_of_it_is_left(bench: Bench, redis: Any) -> None:
    job, (question,) = await bench.waiting()
    assert await bench.queue.delete(job.id, tenant="default") == Deletion.UNFINISHED
    await bench.queue.cancel(job.id)

    assert await bench.queue.delete(job.id, tenant="default") == Deletion.DELETED

    assert not await redis.exists(keys.actions(job.id))
    assert await bench.decide(question) == Taken.UNKNOWN


async def test_only_the_holder_asks_and_only_once(bench: Bench) -> None:
    job = await bench.running()
    with pytest.raises(LeaseLost):
        await bench.actions.ask("b", job, [asked(job.id)], wait_ms=WAIT_MS, retention_ms=RETENTION_MS)
    question = asked(job.id)
    await bench.ask(job, question)
    with pytest.raises(LeaseLost):  # the first answer was lost
        await bench.ask(job, asked(job.id))
    assert await bench.inbox() == [question.id]


async def test_a_repeat_cannot_hit_the_next_attempt(bench: Bench) -> None:
    job, (question,) = await bench.waiting()
    await bench.decide(question)
    assert await claimed(bench.queue, "a") == [job.id]
    with pytest.raises(LeaseLost):
        await bench.ask(job, asked(job.id))


async def test_who_has_lost_the_job_writes_nothing_more(bench: Bench, redis: Redis) -> None:
    job, (question,) = await bench.waiting()
    await bench.decide(question)
    with pytest.raises(LeaseLost):
        await Checkpoints(redis).append("a", job.id, 1, IntentRecord(1, "x"))
    with pytest.raises(LeaseLost):
        await bench.queue.finish("a", job.id, Conclusion(Event.SUCCEED))


async def test_what_it_waited_is_told_apart_from_what_it_ran(bench: Bench, redis: Any) -> None:
    job, (question,) = await bench.waiting()
    await redis.hincrby(keys.job(job.id), "asked_ms", -90_000)
    await bench.decide(question)
    assert 90_000 <= (await bench.job(job.id)).waited_ms < 150_000


async def test_it_can_ask_again(bench: Bench) -> None:
    job, (question,) = await bench.waiting()
    await bench.decide(question)
    (again,) = (await claim(bench.queue, "a")).jobs
    second = asked(job.id, ActionKind.OUTCOME)
    await bench.ask(again, second)

    assert [one.asked for one in (await bench.job(job.id)).actions] == [second]
    assert (await bench.action(question)).status == ActionStatus.DECIDED


async def test_the_inbox_has_pages_newest_first(bench: Bench) -> None:
    questions = [question.id for _ in range(5) for question in (await bench.waiting())[1]][::-1]

    first = await bench.actions.inbox("default", limit=2)
    rest = await bench.actions.inbox("default", limit=10, after=first.actions[-1].asked.id)
    newer = await bench.actions.inbox("default", limit=2, before=questions[3])

    assert [one.asked.id for one in first.actions] == questions[:2]
    assert first.has_more
    assert [one.asked.id for one in rest.actions] == questions[2:]
    assert not rest.has_more
    assert [one.asked.id for one in newer.actions] == questions[1:3], "those next to the cursor"
    assert newer.has_more


async def test_a_list_of_jobs_says_what_each_waits_for(bench: Bench) -> None:
    job, (first, second) = await bench.waiting(2)
    idle = await submitted(bench.queue)
    await bench.decide(first)

    page = await bench.inspector.jobs("default", JobFilter(), limit=10)

    assert {one.id: [action.asked for action in one.actions] for one in page.jobs} == {job.id: [second], idle: []}


async def test_the_receiver_is_told_what_is_asked_but_not_the_input(bench: Bench, redis: Any) -> None:
    receiver = Webhook(JOB_URLS, "a.example", "https://a.example/")
    about = spec(webhook=receiver, input="x")
    job_id = await submitted_spec(bench, about)
    (job,) = (await claim(bench.queue, "a")).jobs
    question = asked(job_id, input={"what": "a secret"})
    await bench.ask(job, question)

    (delivery,) = await redis.zrange(keys.OUTBOX_HOST + "a.example", 0, -1)
    record = await redis.hgetall(keys.delivery(delivery))
    (told,) = json.loads(record["actions"])
    assert told == question.brief() | {"expires_ms": told["expires_ms"]}
    assert "secret" not in json.dumps(record)


async def submitted_spec(bench: Bench, about: Any) -> str:
    job_id = ids.new_job_id()
    await bench.queue.submit(job_id, about)
    return job_id
