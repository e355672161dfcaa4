"""A job's purse: what its next call may cost, with its own limits and its tenant's day together."""

from typing import Any

import pytest

from shared import keys
from shared.day_budget import DayBudget
from shared.errors import StoreUnavailable
from shared.job import Budget, Job
from shared.queue import Queue
from shared.redis_client import Redis
from shared.turn import BrokenRecord, IntentRecord, ModelRecord, Record
from shared.usage import NANO, Usage
from tests.shared.queueing import claim, spec, submitted
from worker import pricing
from worker.budget import LEAST_ANSWER, OutOfBudget
from worker.model_call import TargetClient
from worker.provider import ModelRequest
from worker.purse import Purse
from worker.worst_case import input_at_most

OWNER = "worker"
REQUEST = ModelRequest("Be brief.", [{"role": "user", "content": "x" * 4000}], [], max_tokens=1000)
LARGEST_INPUT = input_at_most(REQUEST, None)
SONNET = ("anthropic", "claude-sonnet-4-6")


def most(answer: int) -> int:
    """Nano-dollars that REQUEST costs at most with such a long answer."""
    return pricing.highest_cost_nano(*SONNET, LARGEST_INPUT, answer)


def target(model: str = SONNET[1], name: str = "default") -> TargetClient:
    none: Any = None
    return TargetClient(name, "anthropic", model, none, none)


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def purse(redis: Redis, queue: Queue, daily_nano: int = 0, **limits: Any) -> Purse:
    """Of a job that this worker runs, with these limits."""
    await submitted(queue, "acme")
    (job,) = (await claim(queue, OWNER)).jobs
    return Purse(with_limits(job, **limits), OWNER, DayBudget(redis), daily_nano)


def with_limits(job: Job, **limits: Any) -> Job:
    given = {"spec": spec("acme", budget=Budget(**limits)).to_json(), "status": "running", "revision": "1"}
    return Job.from_hash(job.id, given | {"created_ms": "1"})


async def fit(
    of: Purse, used: Usage | None = None, where: TargetClient | None = None, known: ModelRecord | None = None
) -> int:
    """How long the answer to REQUEST may be."""
    return (await of.fit(REQUEST, where or target(), used or Usage(), known)).max_tokens


async def aside(redis: Any) -> int:
    return int(await redis.hget(keys.RESERVED, "acme") or 0)


async def test_without_limits_nothing_is_counted_and_nobody_asked(redis: Any, queue: Queue) -> None:
    of = await purse(redis, queue)
    assert await of.fit(REQUEST, target("model-of-nobody"), Usage(), None) is REQUEST
    assert await redis.exists(keys.RESERVED) == 0


async def test_the_answer_gets_as_short_as_the_job_has_money(redis: Any, queue: Queue) -> None:
    limit = most(400)
    of = await purse(redis, queue, max_cost_nano=limit)
    assert await fit(of) == 400
    assert await fit(of, used=Usage(cost_nano=limit - most(LEAST_ANSWER))) == LEAST_ANSWER
    with pytest.raises(OutOfBudget, match="that the job may cost"):
        await fit(of, used=Usage(cost_nano=limit - most(LEAST_ANSWER) + 1))
    assert await redis.exists(keys.RESERVED) == 0, "a job's own limit is nobody else's matter"


async def test_what_was_counted_of_a_conversation_makes_room(redis: Redis, queue: Queue) -> None:
    of = await purse(redis, queue, max_tokens=5000)
    last = ModelRecord(1, [], "tool_use", Usage(input_tokens=100, output_tokens=50), "default", "m", None, 1)
    assert await fit(of, used=last.usage, known=last) == 1000
    with pytest.raises(OutOfBudget):
        await fit(of, used=Usage(output_tokens=3300))
    with pytest.raises(OutOfBudget):
        await fit(of, used=Usage(output_tokens=3300), known=last, where=target(name="another"))


async def test_the_day_shortens_an_answer_too_and_holds_it_until_it_is_settled(redis: Any, queue: Queue) -> None:
    day = most(1000) + most(300)
    first, second, third = [await purse(redis, queue, day) for _ in range(3)]
    assert (await fit(first), await fit(second)) == (1000, 300)
    assert await aside(redis) == day
    with pytest.raises(OutOfBudget) as none:
        await fit(third)
    assert none.value.in_flight


ANSWER = ModelRecord(1, [], "end_turn", Usage(cost_nano=7), "default", "m", None, 1)
BROKEN = BrokenRecord(1, Usage(cost_nano=7), "default", "m", "overloaded_error")


@pytest.mark.parametrize("record", [ANSWER, BROKEN])
async def test_what_ends_the_call_settles_it_and_nothing_else_does(redis: Redis, queue: Queue, record: Record) -> None:
    of = await purse(redis, queue, most(1000) * 10)
    await fit(of)
    async with of.settling(IntentRecord(1, "toolu_1")) as held:
        assert held == most(1000)
    async with of.settling(record) as held:
        assert held == 0
    async with of.settling(IntentRecord(2, "toolu_2")) as held:
        assert held == 0


async def test_a_call_larger_than_a_whole_day_is_not_waited_for(redis: Redis, queue: Queue) -> None:
    with pytest.raises(OutOfBudget, match="in a whole day") as none:
        await fit(await purse(redis, queue, most(LEAST_ANSWER) - 1))
    assert none.value.wait is None


@pytest.mark.parametrize(("limits", "daily"), [({"max_cost_nano": NANO}, 0), ({}, NANO)])
async def test_a_model_without_a_price_is_not_called_on_money(
    redis: Redis, queue: Queue, limits: dict[str, Any], daily: int
) -> None:
    of = await purse(redis, queue, daily, **limits)
    with pytest.raises(OutOfBudget, match="model-of-nobody has no listed price"):
        await fit(of, where=target("model-of-nobody"))


async def test_a_model_without_a_price_keeps_a_limit_in_tokens(redis: Redis, queue: Queue) -> None:
    of = await purse(redis, queue, max_tokens=LARGEST_INPUT + 200)
    assert await fit(of, where=target("model-of-nobody")) == 200


class Away:
    """A store that is not there for a while."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def reserve(self, *args: Any, wanted: int, **kwargs: Any) -> int:
        self.times -= 1
        if self.times >= 0:
            raise StoreUnavailable("away")
        return wanted


async def test_while_redis_is_away_no_day_is_spent_blindly(redis: Redis, queue: Queue) -> None:
    await submitted(queue, "acme")
    (job,) = (await claim(queue, OWNER)).jobs
    away: Any = Away(2)
    assert await fit(Purse(with_limits(job), OWNER, away, NANO)) == 1000
    assert away.times < 0, "it was waited for"
