"""Submits that come while another is under way share the next call, and each gets its own answer."""

import asyncio
from typing import Any

import pytest

from api.group import Group
from shared import ids
from shared.errors import StoreUnavailable
from shared.queue import MOST_AT_ONCE
from shared.submission import Caps, KeyConflict, Outcome, Replayed, Submission
from tests.shared.queueing import spec


class SlowQueue:
    """Answers a call when the test lets it; every third job is a conflict."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.waiting: list[asyncio.Future[None]] = []

    async def submit_many(self, jobs: list[Submission], *, caps: Caps) -> list[Outcome]:
        self.calls.append([job.job_id for job in jobs])
        self.waiting.append(asyncio.get_running_loop().create_future())
        await self.waiting[-1]
        return [_answer(job.job_id) for job in jobs]

    async def answer(self, error: Exception | None = None) -> None:
        """The oldest call that waits."""
        call = self.waiting.pop(0)
        if error:
            call.set_exception(error)
        else:
            call.set_result(None)
        await turns()


def _answer(job_id: str) -> Outcome:
    return KeyConflict(job_id) if job_id.endswith("0") else Replayed(job_id)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def queue() -> SlowQueue:
    return SlowQueue()


@pytest.fixture
def group(queue: Any) -> Group:
    return Group(queue, Caps())


def submits(group: Group, count: int) -> dict[str, "asyncio.Task[Outcome]"]:
    jobs = [Submission(ids.new_job_id(), spec()) for _ in range(count)]
    return {job.job_id: asyncio.create_task(group.submit(job)) for job in jobs}


async def test_one_that_comes_alone_goes_at_once(queue: SlowQueue, group: Group) -> None:
    for _ in range(2):
        ((job_id, task),) = submits(group, 1).items()
        await turns()
        assert queue.calls[-1] == [job_id]
        await queue.answer()
        assert await task == _answer(job_id)


async def test_those_who_come_meanwhile_share_the_next_call_in_their_order(queue: SlowQueue, group: Group) -> None:
    first = submits(group, 1)
    await turns()
    later = submits(group, 30)
    await turns()
    assert queue.calls == [list(first)], "one call at a time"

    await queue.answer()
    assert queue.calls == [list(first), list(later)]
    await queue.answer()

    for job_id, task in (first | later).items():
        assert await task == _answer(job_id)


async def test_a_call_has_its_bounds(queue: SlowQueue, group: Group) -> None:
    tasks = submits(group, 2 * MOST_AT_ONCE + 1)
    await turns()
    for _ in range(3):
        await queue.answer()
    assert [len(call) for call in queue.calls] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]
    assert [await task for task in tasks.values()] == [_answer(job_id) for job_id in tasks]


async def test_a_store_that_is_away_is_told_to_all_at_once(queue: SlowQueue, group: Group) -> None:
    """Who came meanwhile does not wait for a time-out of his own; who comes after it tries anew."""
    tasks = submits(group, 1)
    await turns()
    tasks |= submits(group, MOST_AT_ONCE + 5)
    await turns()
    await queue.answer(StoreUnavailable("away"))

    for task in tasks.values():
        with pytest.raises(StoreUnavailable):
            await task
    assert len(queue.calls) == 1

    ((job_id, task),) = submits(group, 1).items()
    await turns()
    await queue.answer()
    assert await task == _answer(job_id)


async def test_any_other_failure_is_that_of_its_call_alone(queue: SlowQueue, group: Group) -> None:
    first = submits(group, 1)
    await turns()
    later = submits(group, 2)
    await turns()
    await queue.answer(ValueError("a mistake"))
    await queue.answer()

    for task in first.values():
        with pytest.raises(ValueError, match="a mistake"):
            await task
    assert [await task for task in later.values()] == [_answer(job_id) for job_id in later]


async def test_who_gives_up_does_not_take_the_others_along(queue: SlowQueue, group: Group) -> None:
    tasks = submits(group, 3)
    await turns()
    gone, *others = tasks
    tasks[gone].cancel()
    await turns()
    await queue.answer()

    assert tasks[gone].cancelled()
    assert [await tasks[job_id] for job_id in others] == [_answer(job_id) for job_id in others]
