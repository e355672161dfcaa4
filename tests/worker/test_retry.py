"""An agent whose own code raises: its job goes on from its journal after a pause, until its attempts are used up."""

from typing import Any, cast

import pytest

from shared import keys
from shared.actions import Actions
from shared.catalogue import Catalogue
from shared.checkpoints import Checkpoints
from shared.job import Budget, IncompleteReason, Job, Schedule, WaitReason
from shared.mailbox import Mailbox
from shared.pool import Limits, Pool
from shared.queue import Queue
from shared.redis_client import Redis
from shared.states import Status
from shared.turn import ModelRecord
from shared.usage import Usage
from tests.shared.queueing import claim, submitted, sweep
from tests.waiting import until
from worker.agents import Agent, Retry
from worker.asking import Desk
from worker.budget import OutOfBudget
from worker.chain import Chain
from worker.executor import Executor
from worker.mcp.toolbox import Toolbox
from worker.model_call import TargetClient
from worker.provider import ProviderDown

OWNER = "worker"
POOL = Pool("sonnet", Limits(requests=600, input=600_000, output=60_000, in_flight=10))
ANSWER = ModelRecord(1, [{"type": "text", "text": "Done."}], "end_turn", Usage(turns=1), "t", "m", None, 1)


class Caller:
    """A model call that raises what it is given, one after the other, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def call(self, *args: Any, **kwargs: Any) -> ModelRecord:
        if self.errors:
            error = self.errors.pop(0)
            if isinstance(error, ProviderDown):
                error.pool = POOL.name
            raise error
        return ANSWER


def executor(redis: Redis, queue: Queue, caller: Caller, retry: Retry = Retry()) -> Executor:  # noqa: B008  (frozen)
    return Executor(
        redis=redis,
        owner=OWNER,
        queue=queue,
        checkpoints=Checkpoints(redis),
        caller=cast(Any, caller),
        weights={},
        daily_nano={},
        agents={"assistant": Agent(name="assistant", system="", retry=retry)},
        chains={"default": Chain("default", (TargetClient("default", "anthropic", "m", POOL, cast(Any, None)),))},
        catalogue=Catalogue(redis),
        desk=Desk(Actions(redis), 60_000, 60_000),
        toolbox=Toolbox({}),
        max_crashes=5,
    )


async def run_once(redis: Redis, queue: Queue, working: Executor) -> Job:
    """The next attempt, as soon as it is due; the job as it was claimed."""
    taken: list[Job] = []

    async def due() -> bool:
        await sweep(redis)
        claimed = await claim(queue, OWNER)
        for job in claimed.jobs:
            taken.append(job)
            await working.start(job, claimed.now_ms)
        return bool(taken)

    await until(due)
    return taken[0]


async def record(redis: Redis, job_id: str) -> Job:
    return Job.from_hash(job_id, await redis.hgetall(keys.job(job_id)))


async def test_it_goes_on_after_a_pause_and_succeeds(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000)
    job_id = await submitted(queue)
    working = executor(redis, queue, Caller(KeyError("oops"), KeyError("again")), Retry(3, 0.02, 0.02))

    await run_once(redis, queue, working)
    waiting = await record(redis, job_id)
    assert (waiting.status, waiting.wait_reason, waiting.failures) == (Status.QUEUED, WaitReason.RETRY_BACKOFF, 1)
    assert waiting.next_attempt_ms is not None
    await run_once(redis, queue, working)
    third = await run_once(redis, queue, working)

    ended = await record(redis, job_id)
    assert third.attempt == 3
    assert (ended.status, ended.output, ended.error) == (Status.SUCCEEDED, "Done.", None)


async def test_it_fails_when_its_attempts_are_used_up(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000)
    job_id = await submitted(queue)
    working = executor(redis, queue, Caller(*[RuntimeError(f"no {n}") for n in range(9)]), Retry(2, 0.02, 0.02))
    for _ in range(2):
        await run_once(redis, queue, working)

    ended = await record(redis, job_id)

    assert ended.status == Status.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.message, ended.error.retryable) == ("agent_error", "RuntimeError: no 1", True)


@pytest.mark.parametrize("error", [RuntimeError("agent"), ProviderDown("provider", type="overloaded_error")])
async def test_no_pause_outlasts_the_deadline(redis: Redis, error: Exception) -> None:
    """The job is then ended with what it has, on time."""
    queue = Queue(redis, retention_ms=60_000)
    seconds, _ = await redis.time()  # type: ignore[attr-defined]
    job_id = await submitted(queue, schedule=Schedule(deadline_ms=(seconds + 2) * 1000))
    working = executor(redis, queue, Caller(error, error, error), Retry(3, 600, 600))

    await run_once(redis, queue, working)
    waiting = await record(redis, job_id)
    assert waiting.next_attempt_ms is not None
    assert waiting.next_attempt_ms <= (seconds + 2) * 1000 + 50
    await run_once(redis, queue, working)

    ended = await record(redis, job_id)
    assert (ended.status, ended.incomplete) == (Status.INCOMPLETE, "deadline_exceeded")


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"base_seconds": 0}, {"base_seconds": 9, "cap_seconds": 3}])
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="retry takes"):
        Retry(**wrong)


def test_the_agents_retry_is_a_retry() -> None:
    with pytest.raises(ValueError, match="retry takes a Retry"):
        Agent(name="a", system="", retry=cast(Any, 3))


async def test_a_job_without_money_waits_for_the_day_on_which_there_is_some(redis: Any) -> None:
    """With its own limit of an hour it could not: then it ends."""
    queue = Queue(redis, retention_ms=60_000)
    patient, hasty = await submitted(queue, budget=Budget(max_seconds=None)), await submitted(queue)
    errors = [OutOfBudget("Too dear.", wait=40_000), OutOfBudget("Too dear.", wait=40_000)]
    working = executor(redis, queue, Caller(*errors))
    claimed = await claim(queue, OWNER, 2)
    for job in claimed.jobs:
        await working.start(job, claimed.now_ms)

    waits, ended = [Job.from_hash(job_id, await redis.hgetall(keys.job(job_id))) for job_id in (patient, hasty)]
    assert (waits.status, waits.wait_reason, waits.attempt) == (Status.QUEUED, WaitReason.TENANT_BUDGET, 1)
    assert waits.next_attempt_ms is not None
    assert 40_000_000 <= waits.next_attempt_ms - claimed.now_ms <= 40_090_000
    assert (ended.status, ended.incomplete, ended.incomplete_message) == (
        Status.INCOMPLETE,
        IncompleteReason.BUDGET_EXCEEDED,
        "Too dear.",
    )


class Interrupting(Queue):
    """Somebody speaks to the job in the moment between its last turn and its end."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, retention_ms=60_000)
        self.mailbox = Mailbox(redis)
        self.said = 0

    async def finish(self, owner: str, job_id: str, *args: Any, **options: Any) -> Status:
        if not self.said:
            self.said += 1
            await self.mailbox.send(job_id, "What else?", tenant="default")
        return await super().finish(owner, job_id, *args, **options)


async def test_who_is_spoken_to_in_its_last_moment_goes_on_and_hears(redis: Redis) -> None:
    queue = Interrupting(redis)
    job_id = await submitted(queue)
    working = executor(redis, queue, Caller())

    await run_once(redis, queue, working)
    waiting = await record(redis, job_id)
    assert (waiting.status, waiting.wait_reason, waiting.mail) == (Status.QUEUED, WaitReason.CAPACITY, True)
    again = await run_once(redis, queue, working)

    assert again.attempt == 1
    assert (await record(redis, job_id)).status == Status.SUCCEEDED
    kinds = [line.kind for line in await Checkpoints(redis).load(job_id)]
    assert kinds == ["model", "message", "model"]
