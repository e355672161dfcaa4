"""The gate in random order, by workers that may die, against an exact provider: nothing is lost or left over, and it
never believes in more than there is."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from local.redis_server import RedisServer
from shared import keys
from shared.gate_news import begun
from shared.job import Priority
from shared.pool import Headroom, Spent, Used
from shared.redis_client import connect
from tests.key_leaks import leaked_keys
from tests.properties.gate_fleet import exact_provider
from tests.shared.gating import Entry, Gates, call, forget_scripts, pool, with_test_clock

POOL = pool(requests=120, input=12_000, output=12_000, in_flight=6)
WORKERS = ("w1", "w2", "w3")
STEP_SECONDS = 0.25
LAG_SECONDS = {"requests": 0.5, "input": 0.5, "output": 2.0}
"""From a grant to the provider's debit, at most: meanwhile a full bucket of the provider's takes nothing in. For output
also what is wrong about the moment when a call said it."""

picks = st.integers(0, 30)


class Machine(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.redis: Any = connect(self.url)
        self.run(self.redis.flushall())
        self.gates = Gates(self.redis)
        self.run(self.gates.set_clock(self.gates.now))
        self.provider = exact_provider(self.gates, POOL)
        self.entries: dict[str, Entry] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.dead: set[str] = set()
        self.ghosts: dict[str, Entry] = {}
        """What the dead left in line: it goes when its turn comes."""
        self.unheard_of = 0
        """Input tokens that calls of the dead may have used beyond what was reserved for them."""

    def run(self, operation: Any) -> Any:
        return self.runner.get_loop().run_until_complete(operation)  # without a look at signal handlers each time

    def flying(self) -> list[str]:
        return sorted(self.run(self.gates.in_flight(POOL)))

    def waiting(self) -> list[str]:
        return sorted(self.run(self.gates.waiting(POOL)))

    def pass_time(self, seconds: float = STEP_SECONDS) -> None:
        """What may start arrives at the provider a step later at most."""
        until = self.gates.now + seconds
        while self.gates.now < until:
            self.run(self.gates.later(STEP_SECONDS, POOL, step=STEP_SECONDS))
            self.provider.advance(self.gates.now)
            for call_id in self.flying():
                if call_id not in self.provider.calls and call_id in self.sizes:
                    self.begin(call_id)

    def underestimated(self, call_id: str) -> int:
        """By how many input tokens."""
        return max(0, self.sizes[call_id][0] - self.entries[call_id].reservation.input_tokens)

    def begin(self, call_id: str) -> None:
        input_tokens, output_tokens = self.sizes[call_id]
        if self.provider.begin(call_id, self.gates.now, input_tokens, output_tokens):
            left = {name: max(0, int(bucket.level)) for name, bucket in self.provider.buckets.items()}
            self.provider.said[call_id] = Headroom({}, left, input_tokens)
        else:
            self.refuse(call_id)

    def refuse(self, call_id: str) -> None:
        if self.entries[call_id].worker in self.dead:  # it hears of nothing, and says nothing
            return
        entry = self.entries.pop(call_id)
        buckets = self.provider.buckets
        left = {name: max(0, int(bucket.level)) for name, bucket in buckets.items()}
        told = Headroom({name: int(bucket.limit) for name, bucket in buckets.items()}, left)
        self.run(self.gates.leave(entry, Spent("busy", Used(), headroom=told, retry_after=1)))

    @rule(
        worker=st.sampled_from(WORKERS),
        tenant=st.sampled_from(("a", "b")),
        priority=st.sampled_from(list(Priority)),
        input_tokens=st.integers(1, 2000),
        output_tokens=st.integers(1, 600),
        off=st.sampled_from((0.3, 0.9, 1.0, 1.1, 3.0)),
    )
    def enter(
        self, worker: str, tenant: str, priority: Priority, input_tokens: int, output_tokens: int, off: float
    ) -> None:
        """`off`: by how much the estimate of its input is wrong."""
        if worker in self.dead:
            return
        wanted = call(tenant, input=input_tokens, output=1000, priority=priority)
        entry = self.run(self.gates.enter(POOL, wanted, worker=worker))
        self.entries[entry.id] = entry
        self.sizes[entry.id] = (max(1, round(entry.reservation.input_tokens * off)), output_tokens)
        again = self.run(self.gates.enter(POOL, wanted, worker=worker, call_id=entry.id))
        assert again.reservation.input_tokens == entry.reservation.input_tokens
        assert again.granted >= entry.granted
        self.pass_time()

    @precondition(lambda self: self.entries)
    @rule(pick=picks)
    def end(self, pick: int) -> None:
        self.provider.advance(self.gates.now)
        if not (flying := [each for each in self.flying() if each in self.provider.calls and each in self.entries]):
            return
        call_id = flying[pick % len(flying)]
        answering = self.provider.calls.pop(call_id)
        entry = self.entries.pop(call_id)
        self.run(self.gates.ends(entry, input=self.sizes[call_id][0], output=round(answering.said)))
        self.run(self.gates.ends(entry, input=self.sizes[call_id][0], output=round(answering.said)))  # once more
        self.pass_time()

    @precondition(lambda self: self.entries)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if waiting := [each for each in self.waiting() if each in self.entries]:
            self.run(self.gates.leave(self.entries.pop(waiting[pick % len(waiting)]), Spent(used=Used())))
            self.pass_time()

    @rule(seconds=st.sampled_from((0.3, 2.0, 10.0)))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from((-3.0, -0.2)))
    def clock_goes_back(self, seconds: float) -> None:
        """At the failover to a replica, say. The provider's goes on."""
        real = self.gates.now
        self.run(self.gates.set_clock(real + seconds))
        self.run(self.gates.worker().commands.tell(POOL))
        self.run(self.gates.set_clock(real))

    @precondition(lambda self: self.entries)
    @rule(pick=picks)
    def header(self, pick: int) -> None:
        """An answer has just begun."""
        answers = [each for each in self.flying() if each in self.provider.calls and each in self.entries]
        if not answers:
            return
        call_id = answers[pick % len(answers)]
        self.run(self.gates.worker().commands.tell(POOL, begun(call_id, self.provider.said[call_id])))
        self.pass_time()

    @precondition(lambda self: len(self.dead) < len(WORKERS) - 1)
    @rule(worker=st.sampled_from(WORKERS[1:]))
    def die(self, worker: str) -> None:
        """Its calls are answered to nobody."""
        self.dead.add(worker)
        self.gates.forget(worker)
        self.pass_time(13)
        for call_id in [each for each, entry in self.entries.items() if entry.worker == worker]:
            self.unheard_of += self.underestimated(call_id)
            self.ghosts[call_id] = self.entries.pop(call_id)
            assert call_id not in self.flying()
        self.pass_time()

    @invariant()
    def each_is_in_one_place(self) -> None:
        flying, waiting = self.flying(), self.waiting()
        assert not set(flying) & set(waiting)
        assert {*flying, *waiting} - self.ghosts.keys() == set(self.entries)
        assert not set(flying) & self.ghosts.keys()
        lines = [
            each
            for name in ("high", "standard", "low")
            for each in self.run(self.redis.zrange(keys.gate_line(POOL.name, name), 0, -1))
        ]
        assert sorted(lines) == waiting
        assert len(flying) <= POOL.limits.in_flight

    @invariant()
    def what_is_kept_for_people_to_see_is_as_if_it_were_counted(self) -> None:
        known = self.entries | self.ghosts
        waits = Counter(known[each].reservation.call.asker.tenant for each in self.waiting())
        kept = self.run(self.redis.hgetall(keys.gate_tenants(POOL.name)))
        assert {tenant: int(count) for tenant, count in kept.items()} == waits

    @invariant()
    def it_never_believes_in_more_than_there_is(self) -> None:
        """But for what calls in flight turn out to be larger than was reserved for them, and what they have said."""
        self.provider.advance(self.gates.now)
        seen = self.run(self.gates.look(POOL))
        flying = [each for each in self.flying() if each in self.entries]
        unknown = {
            "requests": 0.0,
            "input": self.unheard_of + sum(map(self.underestimated, flying)),
            "output": sum(call.said for call in self.provider.calls.values()),
        }
        for name, more in unknown.items():
            bucket = self.provider.buckets[name]
            most = bucket.level + more + LAG_SECONDS[name] * bucket.limit / 60 + 1.01
            assert seen[name]["level"] <= most, (name, seen[name], bucket, more)

    def teardown(self) -> None:
        for entry in self.entries.values():
            self.run(self.gates.leave(entry, Spent(used=Used())))
        self.run(self.gates.later(1, POOL))
        assert self.flying() == self.waiting() == []
        seen = self.run(self.gates.look(POOL))
        assert seen["waiting"] == {"high": 0, "standard": 0, "low": 0}
        self.run(self.gates.close())
        assert self.run(leaked_keys(self.redis)) == []
        self.run(self.redis.aclose(close_connection_pool=True))
        self.runner.close()


def test_the_gate_in_any_order(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with_test_clock(monkeypatch)
    Machine.url = redis_server.url
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    forget_scripts()
