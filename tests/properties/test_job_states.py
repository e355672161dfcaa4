"""The job scripts in random order, by random owners, against the table of states and a small model of the queue."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from local.redis_server import RedisServer
from shared import ids, keys
from shared.checkpoints import Checkpoints
from shared.errors import LeaseLost
from shared.job import FINISHED, TRANSITIONS, Event, JobSpec, Status, WaitReason
from shared.queue import Conclusion, Holder, Queue
from shared.redis_client import connect
from shared.submission import Accepted, Caps, QueueFull
from shared.turn import ResultRecord
from tests.key_leaks import leaked_keys

OWNERS = ("worker-a", "worker-b")
MAX_DEPTH = 4
ENDS = [Event.SUCCEED, Event.STOP_SHORT, Event.FAIL]

owners = st.sampled_from(OWNERS)
picks = st.integers(0, 20)


class JobStates(RuleBasedStateMachine):
    """`holders` is the model: which worker holds which unfinished job, None for a job that waits."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis: Any = connect(self.url)
        self.queue = Queue(self.redis, retention_ms=60_000)
        self.checkpoints = Checkpoints(self.redis)
        self.holders: dict[str, str | None] = {}
        self.statuses: dict[str, Status] = {}
        self.revisions: dict[str, int] = {}
        self.lengths: dict[str, int] = {}
        self.run(self.redis.flushall())

    def run(self, operation: Any) -> Any:
        return self.runner.run(operation)

    def pick(self, number: int) -> str:
        return sorted(self.statuses)[number % len(self.statuses)]

    @rule()
    def submit(self) -> None:
        job_id = ids.new_job_id()
        spec = JobSpec(tenant="default", agent="assistant", input="hello", chain="default")
        waiting = sum(holder is None for holder in self.holders.values())
        answer = self.run(self.queue.submit(job_id, spec, caps=Caps(max_depth=MAX_DEPTH)))
        if waiting >= MAX_DEPTH:
            assert isinstance(answer, QueueFull)
            assert answer.waiting == waiting
        else:
            assert isinstance(answer, Accepted)
            self.holders[job_id] = None
            self.statuses[job_id] = Status.QUEUED
            self.revisions[job_id] = 0
            self.lengths[job_id] = 0

    @rule(owner=owners, count=st.integers(1, 3))
    def claim(self, owner: str, count: int) -> None:
        claim = self.run(self.queue.claim(Holder(owner, 10, 60_000), wanted=count, suspects=3))
        for job in claim.jobs:
            assert job.id in self.holders, "a finished job is never claimed"
            self.holders[job.id] = owner

    @precondition(lambda self: self.statuses)
    @rule(number=picks)
    def lapse(self, number: int) -> None:
        """The lease runs out: its worker is dead, or has been silent for too long."""
        job_id = self.pick(number)
        if self.holders.get(job_id):
            self.run(self.redis.zadd(keys.ARQ_QUEUE, {job_id: 1}, xx=True))
            self.run(self.redis.delete(keys.ARQ_IN_PROGRESS + job_id))

    @precondition(lambda self: self.statuses)
    @rule(owner=owners, number=picks, event=st.sampled_from(ENDS))
    def finish(self, owner: str, number: int, event: Event) -> None:
        job_id = self.pick(number)
        before = self.statuses[job_id]
        holds = self.holders.get(job_id) == owner
        try:
            status = self.run(self.queue.finish(owner, job_id, Conclusion(event, output="said")))
        except LeaseLost:
            assert not holds
            return
        assert holds or before in FINISHED, "only the holder can finish, or repeat that it did"
        if holds:
            assert status == TRANSITIONS[before][event]
            del self.holders[job_id]

    @precondition(lambda self: self.statuses)
    @rule(owner=owners, number=picks, delay=st.sampled_from([0, 50_000]))
    def release(self, owner: str, number: int, delay: int) -> None:
        job_id = self.pick(number)
        holds = self.holders.get(job_id) == owner
        try:
            status = self.run(self.queue.release(owner, job_id, WaitReason.CAPACITY, delay_ms=delay))
        except LeaseLost:
            assert not holds
            return
        assert holds
        if status == Status.CANCELLED:
            del self.holders[job_id]
        else:
            self.holders[job_id] = None

    @precondition(lambda self: self.statuses)
    @rule(owner=owners, number=picks, repeated=st.booleans())
    def checkpoint(self, owner: str, number: int, repeated: bool) -> None:
        job_id = self.pick(number)
        holds = self.holders.get(job_id) == owner
        length = self.lengths[job_id]
        record = ResultRecord(1, f"call-{length}", "clock", "noon", False, 1)
        try:
            self.run(self.checkpoints.append(owner, job_id, length, record))
            if repeated:  # the first answer was lost
                self.run(self.checkpoints.append(owner, job_id, length, record))
        except LeaseLost:
            assert not holds
            return
        assert holds
        self.lengths[job_id] += 1

    @precondition(lambda self: self.statuses)
    @rule(number=picks)
    def cancel(self, number: int) -> None:
        job_id = self.pick(number)
        status = self.run(self.queue.cancel(job_id))
        if status == Status.CANCELLED and self.holders.get(job_id, "gone") is None:
            del self.holders[job_id]

    @precondition(lambda self: self.statuses)
    @rule(owner=owners)
    def renew(self, owner: str) -> None:
        renewal = self.run(self.queue.renew(Holder(owner, 10, 60_000), sorted(self.statuses)))
        assert set(renewal.lost) == {job_id for job_id in self.statuses if self.holders.get(job_id) != owner}
        assert all(self.statuses[job_id] == Status.CANCELLING for job_id in renewal.cancelling)

    @invariant()
    def every_change_is_in_the_table(self) -> None:
        for job_id, before in self.statuses.items():
            now = Status(self.run(self.redis.hget(keys.job(job_id), "status")))
            revision = int(self.run(self.redis.hget(keys.job(job_id), "revision")))
            assert now == before or now in TRANSITIONS.get(before, {}).values(), f"{before} became {now}"
            assert revision >= self.revisions[job_id]
            assert now == before or revision > self.revisions[job_id], "every change has a revision of its own"
            self.statuses[job_id], self.revisions[job_id] = now, revision

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        unfinished = {job_id for job_id, status in self.statuses.items() if status not in FINISHED}
        assert unfinished == set(self.holders)
        assert set(self.run(self.redis.zrange(keys.ARQ_QUEUE, 0, -1))) == unfinished
        held = {job_id: owner for job_id, owner in self.holders.items() if owner}
        assert self.run(self.redis.hgetall(keys.LEASES)) == held
        for job_id, length in self.lengths.items():
            assert self.run(self.redis.llen(keys.turns(job_id))) == length, "nothing is written twice"

    def teardown(self) -> None:
        leaks = self.run(leaked_keys(self.redis))
        self.run(self.redis.aclose(close_connection_pool=True))
        self.runner.close()
        assert not leaks


def test_the_scripts_keep_to_the_table(redis_server: RedisServer) -> None:
    machine = type("JobStates", (JobStates,), {"url": redis_server.url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_a_finished_job_has_no_way_on(status: Status) -> None:
    assert status not in TRANSITIONS


def test_every_state_can_be_reached_and_left() -> None:
    reached = {to for row in TRANSITIONS.values() for to in row.values()} | {Status.QUEUED}
    assert reached == set(Status)
    assert set(TRANSITIONS) == set(Status) - FINISHED
