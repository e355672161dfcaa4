"""The job scripts in random order, by random workers, for tenants of unlike weight, against the table of states and a
small model of the queue."""

import asyncio
import random
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from local.redis_server import RedisServer
from shared import ids, keys
from shared.action import Answer, Asked, Decision
from shared.actions import Actions, Taken
from shared.checkpoints import Checkpoints
from shared.errors import LeaseLost, Unheard
from shared.event_log import EventLog
from shared.inspector import Inspector
from shared.job import JobSpec, Priority, Schedule, WaitReason
from shared.mailbox import Mailbox, Sent, TooLate
from shared.origin import Origin
from shared.queue import Conclusion, Queue
from shared.redis_client import connect
from shared.states import FINISHED, TRANSITIONS, Event, Status
from shared.submission import Accepted, Caps, FullBecause, OriginGone, Outcome, QueueFull, SessionBusy, Submission
from shared.turn import ResultRecord
from shared.webhook import JOB_URLS, EventType, Webhook
from tests.key_leaks import at_once, leaked_keys
from tests.properties.queue_model import Entry, Model
from tests.shared.queueing import asked, fall_silent, fleet, sweep

OWNERS = ("worker-a", "worker-b", "worker-c")
WEIGHTS = {"default": 1.0, "acme": 2.0, "globex": 0.5}
MAX_RUNNING = {"acme": 3, "globex": 1}
SESSIONS = ("chat", "chat:line")
REASONS = sorted(set(WaitReason) - {WaitReason.SESSION_BUSY})
"""Why a worker may give a job back."""
MAX_DEPTH, MAX_WAITING = 12, 7
DELAY_MS = 500_000
RECEIVER = Webhook(JOB_URLS, "a.example", "https://a.example/", tuple(str(one) for one in EventType))
ENDS = [Event.SUCCEED, Event.STOP_SHORT, Event.FAIL]

owners = st.sampled_from(OWNERS)
picks = st.integers(0, 50)


class JobStates(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis: Any = connect(self.url)
        self.queue = Queue(self.redis, retention_ms=60_000)
        self.inspector = Inspector(self.redis)
        self.checkpoints = Checkpoints(self.redis)
        self.actions = Actions(self.redis)
        self.mailbox = Mailbox(self.redis)
        self.model = Model(WEIGHTS, MAX_RUNNING)
        self.ticket = 0
        self.everything_asked: list[tuple[Entry, Asked]] = []
        self.seen: dict[str, tuple[Status, int]] = {}
        self.run(self.redis.flushall())

    def run(self, operation: Any) -> Any:
        return self.runner.get_loop().run_until_complete(operation)  # without a look at signal handlers each time

    def at_once(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """In one round trip, which counts: the invariants read of every job after each step."""
        answers: list[Any] = self.run(at_once(self.redis, commands))
        return answers

    def of_each_job(self, *fields: str) -> Iterator[tuple[Entry, list[Any]]]:
        """Every job with these fields of its record."""
        jobs = list(self.model.jobs.values())
        return zip(jobs, self.at_once(("hmget", keys.job(job.id), *fields) for job in jobs), strict=True)

    def pick(self, number: int) -> Entry:
        jobs = list(self.model.jobs.values())
        return jobs[number % len(jobs)]

    @initialize(
        tenant=st.sampled_from(sorted(WEIGHTS)), count=st.sampled_from([3, 3, 0]), owner=owners, ttl=st.booleans()
    )
    def a_session_in_full_swing(self, tenant: str, count: int, owner: str, ttl: bool) -> None:
        """Few walks come so far by themselves."""
        if count:
            self.submit(tenant, Priority.STANDARD, ttl, False, SESSIONS[0], False, count)
            self.claim(owner, 1, False)

    @rule(
        tenant=st.sampled_from(sorted(WEIGHTS)),
        priority=st.sampled_from(Priority),
        ttl=st.booleans(),
        delayed=st.sampled_from([True, False, False]),
        session=st.sampled_from([None, None, *SESSIONS]),
        alone=st.sampled_from([True, False, False]),
        count=st.integers(1, 3),
    )
    def submit(
        self, tenant: str, priority: Priority, ttl: bool, delayed: bool, session: str | None, alone: bool, count: int
    ) -> None:
        """Some jobs alike, in one call."""
        schedule = Schedule(ttl_ms=600_000 if ttl else None, delay_ms=DELAY_MS if delayed else None)
        spec = JobSpec(
            tenant,
            "assistant",
            "hello",
            "default",
            priority=priority,
            session_id=session,
            schedule=schedule,
            webhook=RECEIVER,
        )
        caps = Caps(MAX_DEPTH, 0, MAX_WAITING, MAX_RUNNING.get(tenant, 0), WEIGHTS[tenant])
        jobs = [Submission(ids.new_job_id(), spec, alone=alone) for _ in range(count)]
        for job, answer in zip(jobs, self.run(self.queue.submit_many(jobs, caps=caps)), strict=True):
            self.answered(job, answer)

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks, part=st.floats(0, 1), with_mail=st.booleans(), said=st.booleans(), beyond=st.booleans())
    def fork(self, number: int, part: float, with_mail: bool, said: bool, beyond: bool) -> None:
        """A job that begins with a part of the journal of another one, finished or not; mostly of one that has one."""
        written = [job for job in self.model.jobs.values() if job.records]
        old = written[number % len(written)] if written and number % 4 else self.pick(number)
        records = old.records + 1 if beyond else round(part * old.records)
        origin = Origin.of(old.id, None, turn=1, records=records, goes_on=False)
        caps = Caps(MAX_DEPTH, 0, MAX_WAITING, MAX_RUNNING.get(old.tenant, 0), WEIGHTS[old.tenant])
        spec = JobSpec(
            old.tenant,
            "assistant",
            "hello",
            "default",
            priority=old.priority,
            session_id=old.session,
            webhook=RECEIVER,
            forked_from=origin,
        )
        job = Submission(ids.new_job_id(), spec, message="Go on." if said else "", with_mail=with_mail)
        (answer,) = self.run(self.queue.submit_many([job], caps=caps))
        if beyond:
            assert answer == OriginGone()
            return
        self.answered(job, answer)
        if new := self.model.jobs.get(job.job_id):
            new.records, new.mail = records, (old.mail if with_mail else 0) + said

    def answered(self, asked: Submission, answer: Outcome) -> None:
        tenant, schedule = asked.spec.tenant, asked.spec.schedule
        new = Entry(asked.job_id, tenant, asked.spec.priority, len(self.model.jobs), session=asked.spec.session_id)
        line = self.model.line_of(new)
        if asked.alone and line:
            assert answer == SessionBusy(line[0])
        elif self.model.waiting() >= MAX_DEPTH:
            assert isinstance(answer, QueueFull)
            assert answer.because == FullBecause.DEPTH
        elif self.model.waiting(tenant) >= MAX_WAITING:
            assert isinstance(answer, QueueFull)
            assert answer.because == FullBecause.TENANT
        else:
            assert isinstance(answer, Accepted)
            assert (answer.next_attempt_ms is None, answer.expires_ms is None) == (
                schedule.delay_ms is None,
                schedule.ttl_ms is None,
            )
            self.model.jobs[new.id] = new
            new.parked = new.scheduled = schedule.delay_ms is not None
            if not new.parked:
                self.model.comes_in(new)
            assert (answer.wait_reason == WaitReason.SESSION_BUSY) == self.model.held_back(new)

    @rule(owner=owners, wanted=st.integers(1, 4), repeated=st.booleans())
    def claim(self, owner: str, wanted: int, repeated: bool) -> None:
        self.ticket += 1
        taken = [self.take(owner, wanted) for _ in range(2 if repeated else 1)]  # the first answer was lost
        complaints = list(self.model.takes(owner, taken[0], wanted))
        assert not complaints
        assert taken[-1] == taken[0]
        if taken[0]:
            self.model.silent[owner] = False  # that it took jobs is a sign of life

    def take(self, owner: str, wanted: int) -> list[str]:
        claim = self.run(self.queue.claim(owner, ticket=self.ticket, wanted=wanted, suspects=100))
        return [job.id for job in claim.jobs]

    @rule(owner=owners)
    def beat(self, owner: str) -> None:
        worker = fleet(self.redis, owner)
        known = self.run(worker.beat(10))
        assert known == (owner in self.model.silent), "who was taken for dead is told"
        if not known:
            self.run(worker.enlist(10))
        self.model.silent[owner] = False

    @rule(owner=owners)
    def fall_silent(self, owner: str) -> None:
        """Nothing is heard of a worker any more, and nobody listens to its channel."""
        if owner in self.model.silent:
            self.run(fall_silent(self.redis, owner))
            self.model.silent[owner] = True

    @rule(judge=st.booleans())
    def sweep(self, judge: bool) -> None:
        for owner, silent in self.model.silent.items():
            if not silent:  # however slow this machine is
                self.run(fleet(self.redis, owner).beat(10))
        self.model.sweeps(judge)
        look = self.run(sweep(self.redis, judge=judge))
        assert look.held == sum(self.model.running(tenant) for tenant in WEIGHTS) or judge

    @rule(owner=owners, thorough=st.booleans())
    def renew(self, owner: str, thorough: bool) -> None:
        held = {job.id for job in self.model.unfinished() if job.holder == owner}
        believed = set(list(self.model.jobs)[::2])
        renewal = self.run(self.queue.renew(owner, believed, thorough=thorough))
        assert set(renewal.lost) == believed - held
        assert set(renewal.unknown) == held - believed
        cancelling = {job_id for job_id in held & believed if self.model.jobs[job_id].status == Status.CANCELLING}
        assert set(renewal.cancelling) == (cancelling if thorough else set())

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks)
    def time_passes(self, number: int) -> None:
        """A pause is over, or a time to live."""
        job = self.pick(number)
        if job.parked and not job.ripe:
            if job.scheduled:  # its place is counted from when it may start, which is now
                self.run(self.redis.hincrby(keys.job(job.id), "place", -DELAY_MS))
                job.scheduled = False
            self.run(self.redis.zadd(keys.RETURNING, {job.id: 1}, xx=True))
            job.ripe = True
        elif self.run(self.redis.zadd(keys.DECIDING, {job.id: 1}, xx=True, ch=True)):
            job.overdue = True
        elif self.run(self.redis.zadd(keys.EXPIRING, {job.id: 1}, xx=True, ch=True)):
            job.stale = True

    @precondition(lambda self: self.model.jobs)
    @rule(owner=owners, number=picks, event=st.sampled_from(ENDS), hears=st.booleans())
    def finish(self, owner: str, number: int, event: Event, hears: bool) -> None:
        job = self.pick(number)
        before, holds = job.status, job.holder == owner and job.status not in FINISHED
        deaf = hears and event == Event.SUCCEED and job.mail > 0 and before == Status.RUNNING
        try:
            status = self.run(self.queue.finish(owner, job.id, Conclusion(event, output="said"), hears=hears))
        except LeaseLost:
            assert not holds
            return
        except Unheard:
            assert holds
            assert deaf
            return
        assert not (holds and deaf), "no job succeeds over a message"
        assert holds or before in FINISHED, "only the holder can finish, or repeat that it did"
        if holds:
            self.model.moves(job, event)
            job.holder = None
        assert status == job.status

    @rule(owner=owners, event=st.sampled_from(ENDS))
    def finish_all(self, owner: str, event: Event, hears: bool = False) -> None:
        """A worker that gets done with what it holds."""
        for number, job in enumerate(list(self.model.jobs.values())):
            if job.holder == owner:
                self.finish(owner, number, event, hears)

    @precondition(lambda self: self.model.jobs)
    @rule(owner=owners, number=picks, delay=st.sampled_from([0, DELAY_MS]), reason=st.sampled_from(REASONS))
    def release(self, owner: str, number: int, delay: int, reason: WaitReason) -> None:
        job = self.pick(number)
        holds = job.holder == owner and job.status not in FINISHED
        try:
            pool = "sonnet" if reason == WaitReason.PROVIDER_OUTAGE else ""
            status = self.run(
                self.queue.release(owner, job.id, reason, delay_ms=delay, pool=pool, behind_ms=2 * DELAY_MS)
            )
        except LeaseLost:
            assert not holds
            return
        assert holds
        self.model.moves(job, Event.RELEASE)
        job.holder, job.parked = None, delay > 0 and job.status == Status.QUEUED
        job.outage = reason == WaitReason.PROVIDER_OUTAGE
        assert status == job.status

    @precondition(lambda self: any(job.holder for job in self.model.unfinished()))
    @rule(owner=st.sampled_from([*OWNERS, None, None]), number=picks, questions=st.integers(1, 3))
    def ask(self, owner: str | None, number: int, questions: int) -> None:
        """Mostly by the holder, since all that follows needs a job that waits."""
        held = [job for job in self.model.unfinished() if job.holder]
        job = held[number % len(held)]
        owner = owner or job.holder or ""
        holds = job.holder == owner
        record = self.run(self.inspector.job(job.id, tenant=job.tenant)).job
        wanted = [asked(job.id) for _ in range(questions)]
        try:
            status = self.run(self.actions.ask(owner, record, wanted, wait_ms=DELAY_MS, retention_ms=60_000))
        except LeaseLost:
            assert not holds
            return
        assert holds
        self.model.moves(job, Event.AWAIT_ACTION)
        job.holder = None
        assert status == job.status
        if status == Status.REQUIRES_ACTION:
            job.asks, job.asked = [one.id for one in wanted], job.asked + 1
            self.everything_asked += [(job, one) for one in wanted]

    @precondition(lambda self: self.everything_asked)
    @rule(number=picks, stranger=st.booleans())
    def decide(self, number: int, stranger: bool) -> None:
        job, question = self.everything_asked[number % len(self.everything_asked)]
        tenant = "stranger" if stranger else job.tenant
        taken = self.run(self.actions.decide(question, Answer(Decision.APPROVE), tenant=tenant))
        if stranger:
            assert taken == Taken.UNKNOWN
        elif question.id in job.asks and job.status == Status.REQUIRES_ACTION:
            assert taken == Taken.TAKEN
            job.decided(question.id)
        else:
            assert taken == Taken.CLOSED

    @rule(most=st.integers(1, 3))
    def wake(self, most: int) -> None:
        self.model.wakes(most)
        left = self.run(self.queue.wake("sonnet", most))
        assert left >= sum(job.parked and job.outage for job in self.model.unfinished())

    @precondition(lambda self: self.model.jobs)
    @rule(owner=owners, number=picks, repeated=st.booleans())
    def checkpoint(self, owner: str, number: int, repeated: bool) -> None:
        held = [job for job in self.model.unfinished() if job.holder == owner]
        job = held[number % len(held)] if held and number % 4 else self.pick(number)
        holds = job.holder == owner and job.status not in FINISHED
        record = ResultRecord(1, f"call-{job.records}", "clock", "noon", False, 1)
        try:
            mail = self.run(self.checkpoints.append(owner, job.id, job.records, record))
            if repeated:  # the first answer was lost
                mail = self.run(self.checkpoints.append(owner, job.id, job.records, record))
        except LeaseLost:
            assert not holds
            return
        assert holds
        assert mail == (job.mail > 0)
        job.records += 1

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks, stranger=st.booleans())
    def say(self, number: int, stranger: bool) -> None:
        held = [job for job in self.model.unfinished() if job.holder]
        job = held[number % len(held)] if held and number % 4 else self.pick(number)
        sent = self.run(self.mailbox.send(job.id, "Hurry.", tenant="stranger" if stranger else job.tenant))
        if stranger:
            assert sent is None
        elif job.status in FINISHED or job.status == Status.CANCELLING:
            assert sent == TooLate(job.status)
        else:
            assert isinstance(sent, Sent)
            job.mail += 1

    @precondition(lambda self: any(job.mail and job.holder for job in self.model.unfinished()))
    @rule(owner=st.sampled_from([*OWNERS, None, None]), number=picks, repeated=st.booleans())
    def hear(self, owner: str | None, number: int, repeated: bool) -> None:
        """Mostly by the holder, since few walks come so far."""
        spoken_to = [job for job in self.model.unfinished() if job.mail and job.holder]
        job = spoken_to[number % len(spoken_to)]
        owner = owner or job.holder or ""
        holds = job.holder == owner and job.status not in FINISHED
        try:
            for _ in range(2 if repeated else 1):  # the first answer was lost
                heard = self.run(self.mailbox.hear(owner, job.id, job.records, 1))
        except LeaseLost:
            assert not holds
            return
        assert holds
        assert len(heard) == job.mail, "each once"
        job.records, job.mail = job.records + job.mail, 0

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks)
    def cancel(self, number: int) -> None:
        waiting = [job for job in self.model.unfinished() if job.asks]
        job = waiting[0] if waiting and number % 2 else self.pick(number)
        status = self.run(self.queue.cancel(job.id))
        if job.status not in FINISHED:
            self.model.moves(job, Event.CANCEL)
            job.parked = False
            job.asks = []
        assert status == job.status

    @invariant()
    def every_change_is_in_the_table(self) -> None:
        for job, (now, text) in self.of_each_job("status", "revision"):
            revision = int(text)
            before, revision_before = self.seen.get(job.id, (Status.QUEUED, 0))
            assert now == job.status
            assert revision >= revision_before
            assert now == before or revision > revision_before, "every change has a revision of its own"
            self.seen[job.id] = (Status(now), revision)

    @invariant()
    def every_change_is_told_once(self) -> None:
        log, jobs = EventLog(self.redis), list(self.model.jobs.values())
        pages = self.run(_all(log.read(job.id, tenant=job.tenant) for job in jobs))
        for job, page in zip(jobs, pages, strict=True):
            assert page is not None
            assert [event.id for event in page.events] == list(range(1, page.last + 1)), "numbered without gaps"
            told = [Status(event.data["status"]) for event in page.events if event.type.startswith("job.")]
            assert told[-1] == job.status, "none is missing"
            for before, after in pairwise(told):
                assert after in TRANSITIONS[before].values(), "none is invented"

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        queues = self.at_once(("zrange", keys.queue(tenant), 0, -1) for tenant in WEIGHTS)
        for tenant, queue in zip(WEIGHTS, queues, strict=True):
            assert set(queue) == {job.id for job in self.model.unfinished(tenant)}
        held = {job.id: job.holder for job in self.model.unfinished() if job.holder}
        assert self.run(self.redis.hgetall(keys.LEASES)) == held
        written = self.at_once(("llen", keys.turns(job_id)) for job_id in self.model.jobs)
        for (job, (crashes, mail)), records in zip(self.of_each_job("crashes", "mail"), written, strict=True):
            assert records == job.records, "nothing is written twice"
            assert len((mail or "").split()) == job.mail, "what was said waits, or was heard"
            assert int(crashes or 0) == job.crashes, "a death is counted once"

    @invariant()
    def a_session_has_one_live_job_and_nobody_waits_without_one(self) -> None:
        reasons = {job.id: reason for job, (reason,) in self.of_each_job("wait_reason")}
        for tenant in WEIGHTS:
            unfinished = self.model.unfinished(tenant)
            lines = self.at_once(("zrange", keys.session_line(tenant, session), 0, -1) for session in SESSIONS)
            for session, line in zip(SESSIONS, lines, strict=True):
                assert line == self.model.lines.get((tenant, session), [])
                held = [job.id for job in unfinished if job.session == session and job.holder]
                assert held in ([], line[:1]), "only the live one runs"
            waits = {job.id for job in unfinished if reasons[job.id] == WaitReason.SESSION_BUSY}
            assert waits == {job.id for job in unfinished if self.model.held_back(job)}

    @invariant()
    def whose_turn_it_is_is_known(self) -> None:
        ready = dict(self.run(self.redis.zrange(keys.READY, 0, -1, withscores=True)))
        assert ready.keys() == self.model.ready()
        for tenant, score in ready.items():
            assert score == pytest.approx(self.model.share(tenant), abs=1e-3)

    @invariant()
    def the_pace_counts_right(self) -> None:
        pace = self.run(self.inspector.pace())
        assert pace.waiting == self.model.waiting()
        assert pace.running == sum(self.model.running(tenant) for tenant in WEIGHTS)

    @invariant()
    def whoever_is_idle_is_woken(self) -> None:
        """A job that may run has left a token, or a claim has seen it and passed one on."""
        if self.model.ready():
            assert self.run(self.redis.llen(keys.WAKE)) == 1

    @invariant()
    def every_start_and_every_end_is_to_be_told_once(self) -> None:
        filed = self.run(self.redis.zrange(keys.OUTBOX_HOST + RECEIVER.host, 0, -1))
        told = sorted(self.at_once(("hmget", keys.delivery(one), "job_id", "type") for one in filed))
        jobs = self.model.jobs.values()
        ends = [[job.id, f"job.{job.status}"] for job in jobs if job.status in FINISHED]
        questions = [[job.id, EventType.REQUIRES_ACTION] for job in jobs for _ in range(job.asked)]
        assert told == sorted(ends + questions + [[job.id, EventType.STARTED] for job in jobs if job.started])

    @invariant()
    def the_inbox_holds_what_is_waited_for(self) -> None:
        for tenant in WEIGHTS:
            wanted = {one for job in self.model.unfinished(tenant) for one in job.asks}
            page = self.run(self.actions.inbox(tenant, limit=100))
            assert {action.asked.id for action in page.actions} == wanted
        waiting = {job.id for job in self.model.unfinished() if job.asks}
        assert set(self.run(self.redis.zrange(keys.DECIDING, 0, -1))) == waiting

    @invariant()
    def nothing_leaks(self) -> None:
        assert self.run(leaked_keys(self.redis)) == []

    def teardown(self) -> None:
        self.run(self.redis.aclose(close_connection_pool=True))
        self.runner.close()


async def _all(operations: Iterable[Any]) -> list[Any]:
    return await asyncio.gather(*operations)


def test_the_scripts_keep_to_the_table(redis_server: RedisServer) -> None:
    machine = type("JobStates", (JobStates,), {"url": redis_server.url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_lines_of_sessions_on_a_long_walk(redis_server: RedisServer, seed: int) -> None:
    """Hypothesis walks far and wide, but no line grows long on its way. In the end all have had their turn."""
    machine = type("JobStates", (JobStates,), {"url": redis_server.url})()
    chance = random.Random(seed)
    try:
        for _ in range(200):
            _step(machine, chance)
            machine.the_store_is_as_the_model()
            machine.a_session_has_one_live_job_and_nobody_waits_without_one()
            machine.whose_turn_it_is_is_known()
            machine.whoever_is_idle_is_woken()
        for number in range(len(machine.model.jobs)):
            machine.time_passes(number)
        while unfinished := len(machine.model.unfinished()):
            machine.sweep(judge=True)
            machine.claim("worker-a", 4, repeated=False)
            for owner in OWNERS:
                machine.finish_all(owner, Event.SUCCEED)
            assert len(machine.model.unfinished()) < unfinished, "somebody has a turn, until nobody is left"
        machine.nothing_leaks()
    finally:
        machine.teardown()


def _step(machine: JobStates, chance: random.Random) -> None:
    owner, number = chance.choice(OWNERS), chance.randrange(1000)
    match chance.choice(
        ["submit"] * 3
        + ["claim"] * 3
        + ["finish"] * 2
        + ["cancel", "release", "time", "sweep", "silence", "say", "say", "hear", "checkpoint", "fork"]
    ):
        case "submit":
            delayed, alone, session = chance.random() < 0.2, chance.random() < 0.2, chance.choice([*SESSIONS, None])
            tenant, ttl = chance.choice(list(WEIGHTS)), chance.random() < 0.3
            machine.submit(tenant, chance.choice(list(Priority)), ttl, delayed, session, alone, chance.randint(1, 3))
        case "claim":
            machine.claim(owner, chance.randint(1, 4), chance.random() < 0.3)
        case "finish":
            machine.finish_all(owner, chance.choice(ENDS), hears=chance.random() < 0.5)
        case "silence":
            machine.fall_silent(owner)
        case "sweep":
            machine.sweep(judge=chance.random() < 0.7)
        case _ if not machine.model.jobs:
            pass
        case "cancel":
            machine.cancel(number)
        case "release":
            for index, job in enumerate(list(machine.model.jobs.values())):
                if job.holder == owner:
                    machine.release(owner, index, chance.choice([0, DELAY_MS]), chance.choice(REASONS))
        case "time":
            machine.time_passes(number)
        case "say":
            machine.say(number, stranger=False)
        case "hear" if any(job.mail and job.holder for job in machine.model.unfinished()):
            machine.hear(chance.choice([owner, None]), number, chance.random() < 0.3)
        case "checkpoint":
            machine.checkpoint(owner, number, chance.random() < 0.3)
        case "fork":
            part, beyond = chance.random(), chance.random() < 0.1
            machine.fork(number, part, chance.random() < 0.5, chance.random() < 0.5, beyond)


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_a_finished_job_has_no_way_on(status: Status) -> None:
    assert status not in TRANSITIONS


def test_every_state_can_be_reached_and_left() -> None:
    reached = {to for row in TRANSITIONS.values() for to in row.values()} | {Status.QUEUED}
    assert reached == set(Status)
    assert set(TRANSITIONS) == set(Status) - FINISHED
