"""Forks and retries over HTTP: what the new job begins with, and when there is none."""

from typing import Any

import httpx2
import pytest

from shared.action import Decision, DecisionRecord
from shared.checkpoints import Checkpoints
from shared.job import STOPPED_SHORT, Budget, IncompleteReason, Job, JobError, Schedule
from shared.mailbox import Mailbox
from shared.message import MessageRecord
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event
from shared.turn import BrokenRecord, IntentRecord, ModelRecord, Record, ResultRecord
from shared.usage import Usage
from tests.api.talk import StandIn, job_of, pointers, problem
from tests.api.test_read import NO_JOB

COST = Usage(input_tokens=10, output_tokens=5, model_calls=1, turns=1, cost_nano=1_000_000)
FAILED = Conclusion(Event.FAIL, error=JobError("agent", "agent_error", "oops", True))


def turn(number: int, *calls: str, stop: str = "") -> ModelRecord:
    content = [{"type": "tool_use", "id": call, "name": "clock", "input": {}} for call in calls]
    return ModelRecord(number, content, stop or ("tool_use" if calls else "end_turn"), COST, "default", "m", None, 1)


def result(number: int, call: str) -> ResultRecord:
    return ResultRecord(number, call, "clock", "noon", False, 1)


BROKEN = BrokenRecord(3, COST, "default", "m", "overloaded_error")
SAID = MessageRecord(2, "mail_x", "Hurry.", 1)
FOUR: list[Record] = [
    *(turn(1, "a"), result(1, "a")),
    *(turn(2, "b"), IntentRecord(2, "b"), DecisionRecord(2, "b", Decision.DONE), result(2, "b"), SAID, BROKEN),
    *(turn(3, "c"), result(3, "c")),
    turn(4),
]


class Bench:
    def __init__(self, http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
        self.http, self.worker = http, worker
        self.queue = Queue(redis, retention_ms=3_600_000)
        self.checkpoints = Checkpoints(redis)
        self.mailbox = Mailbox(redis)

    async def began(self, records: list[Record], **fields: Any) -> str:
        """A job that runs and has this journal."""
        job_id = await self.worker.add(**fields)
        await self.worker.take(1)
        for index, record in enumerate(records):
            await self.checkpoints.append("stand-in", job_id, index, record)
        return job_id

    async def ended(self, records: list[Record], conclusion: Conclusion = FAILED, **fields: Any) -> str:
        job_id = await self.began(records, **fields)
        await self.queue.finish("stand-in", job_id, conclusion)
        return job_id

    async def fork(self, job_id: str, from_turn: Any, key: str = "", **fields: Any) -> httpx2.Response:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"from_turn": from_turn, **fields}
        return await self.http.post(f"/v1/jobs/{job_id}/fork", json=body, headers=headers)

    async def retry(self, job_id: str, **fields: Any) -> httpx2.Response:
        return await self.http.post(f"/v1/jobs/{job_id}/retry", json=fields)

    async def journal(self, job: dict[str, Any]) -> list[Record]:
        return await self.checkpoints.load(job["id"])

    async def claimed(self) -> Job:
        (job,) = await self.worker.take(1)
        return job


@pytest.fixture
def bench(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> Bench:
    return Bench(http, redis, worker)


@pytest.mark.parametrize(("from_turn", "records"), [(1, 2), (2, 6), (3, 10), (4, 11)])
async def test_a_fork_begins_with_the_turns_it_has_in_common(bench: Bench, from_turn: int, records: int) -> None:
    old = await bench.ended(FOUR, metadata={"of": "old"}, budget=Budget(max_turns=7))

    answer = await bench.fork(old, from_turn)

    job = job_of(answer, 202)
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["forked_from"]) == ("queued", {"job_id": old, "turn": from_turn})
    assert (job["input"], job["agent"], job["metadata"]) == ("x", "assistant", {"of": "old"})
    assert job["budget"]["max_turns"] == 7
    assert (job["usage"]["turns"], job["usage"]["cost_usd"]) == (0, "0.000000")
    assert await bench.journal(job) == FOUR[:records]
    shown = (await bench.http.get(f"/v1/jobs/{job['id']}/turns")).json()
    assert [one["turn"] for one in shown["data"]] == list(range(1, from_turn + 1))
    assert len(await bench.checkpoints.load(old)) == len(FOUR)
    assert job_of(await bench.http.get(f"/v1/jobs/{job['id']}"))["forked_from"] == job["forked_from"]


async def test_a_fork_may_be_different(bench: Bench) -> None:
    old = await bench.ended(FOUR, schedule=Schedule(ttl_ms=60_000))
    wish = {"message": "Otherwise.", "budget": {"max_turns": 3}, "metadata": {"of": "new"}}

    job = job_of(await bench.fork(old, 2, **wish), 202)

    assert (job["budget"]["max_turns"], job["metadata"], job["expires_at"]) == (3, {"of": "new"}, None)
    claimed = await bench.claimed()
    assert claimed.mail
    (heard,) = await bench.mailbox.hear("stand-in", job["id"], 6, 2)
    assert (heard.content, heard.turn) == ("Otherwise.", 2)


async def test_a_job_under_way_can_be_forked_from_a_turn_that_is_over(bench: Bench) -> None:
    old = await bench.began(FOUR[:9])

    job_of(await bench.fork(old, 2), 202)
    told = problem(await bench.fork(old, 3), 409, "not_finished")

    assert "Turn 3 may still be under way" in told["detail"]


@pytest.mark.parametrize("from_turn", [5, 0, "1", None, 1.5])
async def test_a_turn_that_there_is_not(bench: Bench, from_turn: Any) -> None:
    old = await bench.ended(FOUR)
    assert pointers(problem(await bench.fork(old, from_turn), 422, "invalid_request")) == {"#/from_turn"}


async def test_a_turn_too_late_is_told_which_is_the_last(bench: Bench) -> None:
    (error,) = problem(await bench.fork(await bench.ended(FOUR), 5), 422, "invalid_request")["errors"]
    assert error["detail"] == "must be at most 4: there is no later turn"


async def test_a_key_makes_one_fork(bench: Bench) -> None:
    old, other = await bench.ended(FOUR), await bench.ended(FOUR)
    first = job_of(await bench.fork(old, 2, key="once"), 202)
    again = await bench.fork(old, 2, key="once")

    assert job_of(again, 202)["id"] == first["id"]
    assert again.headers["idempotency-replayed"] == "true"
    problem(await bench.fork(old, 3, key="once"), 422, "idempotency_conflict")
    problem(await bench.fork(other, 2, key="once"), 422, "idempotency_conflict")


async def test_more_than_the_agent_allows_is_refused(bench: Bench) -> None:
    old = await bench.ended(FOUR)
    assert pointers(problem(await bench.fork(old, 2, budget={"max_turns": 21}), 422)) == {"#/budget/max_turns"}


async def test_a_retry_goes_on_where_the_job_has_ended(bench: Bench) -> None:
    journal: list[Record] = [turn(1, "a"), IntentRecord(1, "a")]
    old = await bench.began(journal)
    await bench.mailbox.send(old, "Unheard.", tenant="default")
    await bench.queue.finish("stand-in", old, FAILED)

    job = job_of(await bench.retry(old, message="Go on."), 202)

    assert job["forked_from"] == {"job_id": old, "turn": 1}
    assert await bench.journal(job) == journal
    await bench.claimed()
    heard = await bench.mailbox.hear("stand-in", job["id"], 2, 1)
    assert [one.content for one in heard] == ["Unheard.", "Go on."]


async def test_a_retry_needs_no_body(bench: Bench) -> None:
    old = await bench.ended(FOUR[:2])
    assert job_of(await bench.http.post(f"/v1/jobs/{old}/retry"), 202)["forked_from"]["turn"] == 1


@pytest.mark.parametrize("stop", STOPPED_SHORT)
async def test_an_answer_that_was_cut_short_is_bought_anew(bench: Bench, stop: str) -> None:
    reason = Conclusion(Event.STOP_SHORT, incomplete=IncompleteReason.MAX_TOKENS)
    old = await bench.ended([*FOUR[:2], turn(2, stop=stop)], reason)

    job = job_of(await bench.retry(old), 202)

    assert (job["forked_from"]["turn"], await bench.journal(job)) == (1, FOUR[:2])


async def test_a_job_that_never_began_is_tried_from_its_beginning(bench: Bench) -> None:
    old = await bench.worker.add()
    await bench.queue.cancel(old)

    job = job_of(await bench.retry(old), 202)

    assert (job["forked_from"], await bench.journal(job)) == ({"job_id": old, "turn": 0}, [])


async def test_what_has_succeeded_or_not_ended_is_not_tried_again(bench: Bench) -> None:
    well = await bench.ended(FOUR, Conclusion(Event.SUCCEED, output="well"))
    told = problem(await bench.retry(well), 409, "already_succeeded")
    assert f"/v1/jobs/{well}/fork" in told["detail"]

    problem(await bench.retry(await bench.began([])), 409, "not_finished")


async def test_a_fork_of_a_fork_knows_whose_keys_its_calls_have(bench: Bench) -> None:
    first = await bench.ended(FOUR[:2])
    second = job_of(await bench.retry(first), 202)["id"]
    await bench.claimed()
    await bench.queue.finish("stand-in", second, FAILED)
    job_of(await bench.retry(second), 202)

    origin = (await bench.claimed()).spec.forked_from

    assert origin is not None
    assert origin.lineage == (first, second)
    assert (origin.call_keys, origin.step_keys) == (first, first)


async def test_a_journal_of_any_length_is_copied(bench: Bench, redis: Redis) -> None:
    long: list[Record] = [turn(1, "a"), *[result(1, str(number)) for number in range(1100)]]
    old = await bench.ended(long)

    assert await bench.journal(job_of(await bench.fork(old, 1), 202)) == long


@pytest.mark.parametrize("what", ["fork", "retry"])
@pytest.mark.parametrize("job_id", [NO_JOB, "no:id"])
async def test_a_job_that_there_is_not(http: httpx2.AsyncClient, what: str, job_id: str) -> None:
    problem(await http.post(f"/v1/jobs/{job_id}/{what}", json={"from_turn": 1}), 404, "not_found")
