"""A worker on a forked job: the keys of what was under way, limits that count what is new, and its session's past."""

from dataclasses import replace
from typing import Any, cast

import pytest

from shared import ids, keys
from shared.action import Decision, DecisionRecord
from shared.checkpoints import Checkpoints
from shared.history import before, conversation
from shared.job import Budget, Job, JobSpec, WaitReason
from shared.origin import Origin
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.sessions import Sessions
from shared.states import Event, Status
from shared.submission import Accepted, OriginGone, Submission
from shared.turn import IntentRecord, ModelRecord, Record, Transcript
from shared.usage import Usage
from tests.shared.queueing import claim, spec
from tests.worker.test_retry import ANSWER, Caller, executor, record, run_once
from worker.agents import Agent, tool
from worker.executor import Executor
from worker.provider import ProviderRefused
from worker.tools import ToolContext

CALL = {"type": "tool_use", "id": "toolu_1", "name": "put", "input": {}}
ASKS = ModelRecord(1, [CALL], "tool_use", Usage(turns=1, output_tokens=900), "default", "m", None, 1)


class Bench:
    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.queue = Queue(redis, retention_ms=60_000)
        self.seen: list[str] = []

        @tool(effect="idempotent")
        async def put(context: ToolContext) -> str:
            """Put."""
            self.seen.append(context.idempotency_key)
            return "put"

        self.working: Executor = executor(redis, self.queue, Caller())
        agents = cast(dict[str, Agent], self.working._agents)
        agents["assistant"] = Agent(name="assistant", system="", tools=[put])

    def need_approval(self) -> None:
        agents = cast(dict[str, Agent], self.working._agents)
        (put,) = agents["assistant"].tools
        agents["assistant"] = replace(agents["assistant"], tools=[replace(put, approval="always")])

    async def submit(self, job: JobSpec, **options: Any) -> str:
        (answer,) = await self.queue.submit_many([Submission(ids.new_job_id(), job, **options)])
        assert isinstance(answer, Accepted), answer
        return answer.job_id

    async def ended(self, *records: Record, **fields: Any) -> str:
        """A job that was cancelled with this journal."""
        job_id = await self.submit(spec(**fields))
        await claim(self.queue, "a")
        for index, one in enumerate(records):
            await Checkpoints(self.redis).append("a", job_id, index, one)
        await self.queue.finish("a", job_id, Conclusion(Event.SUCCEED, output="Before."))
        return job_id

    async def forked(self, old: str, *, turn: int, records: int, **fields: Any) -> Job:
        origin = Origin.of(old, None, turn=turn, records=records, goes_on=True)
        job_id = await self.submit(spec(forked_from=origin, **fields))
        await run_once(self.redis, self.queue, self.working)
        return await record(self.redis, job_id)


async def test_what_was_under_way_runs_again_under_its_old_key(redis: Redis) -> None:
    bench = Bench(redis)
    old = await bench.ended(ASKS)

    job = await bench.forked(old, turn=1, records=1)

    assert (job.status, bench.seen) == (Status.SUCCEEDED, [f"{old}/1/toolu_1"])


async def test_a_job_that_failed_goes_on_from_what_it_had(redis: Redis) -> None:
    bench = Bench(redis)
    caller = cast(Caller, bench.working._caller)
    caller.errors.append(ProviderRefused("no", type="invalid_request_error"))
    old = await bench.ended(ASKS)
    failed = await bench.forked(old, turn=1, records=1)
    assert (failed.status, bench.seen) == (Status.FAILED, [f"{old}/1/toolu_1"])

    job = await bench.forked(failed.id, turn=1, records=2)

    assert (job.status, job.output, job.usage.turns) == (Status.SUCCEEDED, "Done.", 1)
    assert len(bench.seen) == 1, "its receipt was copied"


async def test_a_permission_is_for_the_job_in_which_it_was_given(redis: Redis) -> None:
    """Two retries of a cancelled job would else do twice what a person allowed once."""
    bench = Bench(redis)
    allowed = DecisionRecord(1, "toolu_1", Decision.EDIT, {"what": "half"})
    transcript = Transcript("x", [ASKS, allowed], inherited=2)

    (call,) = transcript.unanswered()

    assert (call.permission, call.edited, call.input) == (None, False, {})
    bench.need_approval()
    old = await bench.ended(ASKS, allowed)
    job = await bench.forked(old, turn=1, records=2)
    assert (job.status, bench.seen) == (Status.REQUIRES_ACTION, [])


@pytest.mark.parametrize("decision", [Decision.DENY, Decision.EXPIRED])
def test_a_refusal_stands_in_a_fork(decision: Decision) -> None:
    (call,) = Transcript("x", [ASKS, DecisionRecord(1, "toolu_1", decision)], inherited=2).unanswered()
    assert call.decided is not None
    assert call.decided.decision == decision


def test_what_was_begun_with_a_permission_is_known_by_it_in_a_fork() -> None:
    records = [ASKS, DecisionRecord(1, "toolu_1", Decision.EDIT, {"what": "half"}), IntentRecord(1, "toolu_1")]
    (call,) = Transcript("x", records, inherited=3).unanswered()
    assert (call.started, call.input) == (True, {"what": "half"})


async def test_nothing_is_begun_once_the_time_is_up(redis: Redis) -> None:
    bench = Bench(redis)
    job_id = await bench.submit(spec(budget=Budget(max_seconds=5)))
    await claim(bench.queue, "a")
    await Checkpoints(redis).append("a", job_id, 0, ASKS)
    await bench.queue.release("a", job_id, WaitReason.CAPACITY)
    await cast(Any, redis).hincrby(keys.job(job_id), "started_ms", -10_000)

    await run_once(redis, bench.queue, bench.working)

    job = await record(redis, job_id)
    assert (job.status, job.incomplete, bench.seen) == (Status.INCOMPLETE, "deadline_exceeded", [])


async def test_limits_count_what_the_job_has_bought_itself(redis: Redis) -> None:
    bench = Bench(redis)
    old = await bench.ended(ASKS)

    job = await bench.forked(old, turn=1, records=1, budget=Budget(max_turns=1, max_tokens=100_000))

    assert (job.status, job.output, job.usage.turns) == (Status.SUCCEEDED, "Done.", 1)


async def test_a_part_of_a_job_is_no_sample_of_what_one_costs(redis: Redis) -> None:
    bench = Bench(redis)
    await bench.forked(await bench.ended(ASKS), turn=1, records=1)

    assert not await redis.exists(keys.COSTS)


async def test_a_fork_is_told_its_session_as_the_old_job_was_and_stands_for_it_afterwards(redis: Redis) -> None:
    bench = Bench(redis)
    said = {"session_id": "chat", "input": "First."}
    first = await bench.ended(ANSWER, **said)
    old = await bench.ended(ANSWER, session_id="chat", input="Second.")
    origin = Origin.of(old, None, turn=1, records=1, goes_on=False)

    history = await Sessions(redis).history("default", "chat")
    assert [one.job_id for one in before(history, origin)] == [first]
    job = await bench.forked(old, turn=1, records=1, session_id="chat", input="Second.")

    history = await Sessions(redis).history("default", "chat")
    assert [one.job_id for one in history] == [first, old, job.id]
    told = [message["content"] for message in conversation(history) if message["role"] == "user"]
    assert told == ["First.", "Second."]


async def test_a_job_that_is_gone_is_not_forked(redis: Redis) -> None:
    bench = Bench(redis)
    old = await bench.ended(ASKS)
    await bench.queue.delete(old, tenant="default")
    origin = Origin.of(old, None, turn=1, records=1, goes_on=True)

    answers = await bench.queue.submit_many([Submission(ids.new_job_id(), spec(forked_from=origin))])

    assert answers == [OriginGone()]
    assert not await redis.exists(keys.ARQ_QUEUE)


async def test_another_tenants_job_is_not_forked(redis: Redis) -> None:
    bench = Bench(redis)
    origin = Origin.of(await bench.ended(ASKS), None, turn=1, records=1, goes_on=True)

    answers = await bench.queue.submit_many([Submission(ids.new_job_id(), spec("globex", forked_from=origin))])

    assert answers == [OriginGone()]
