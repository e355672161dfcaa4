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
from shared import keys, scripts
from shared.job import Priority
from shared.pool import Headroom, Spent, Used
from shared.redis_client import connect
from tests.key_leaks import leaked_keys
from tests.properties.gate_fleet import exact_provider
from tests.shared.gating import Entry, Gates, call, pool, with_test_clock

POOL = pool(requests=120, input=12_000, output=12_000, in_flight=6)
WORKERS = ("w1", "w2", "w3")
STEP_SECONDS = 0.25
LAG_SECONDS = 0.5
"""From a grant to the provider's debit, at most: meanwhile a full bucket of the provider's takes nothing in."""

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

    def run(self, operation: Any) -> Any:
        return self.runner.run(operation)

    def flying(self) -> list[str]:
        return sorted(self.run(self.gates.in_flight(POOL)))

    def waiting(self) -> list[str]:
        return sorted(self.run(self.gates.waiting(POOL)))

    def pass_time(self, seconds: float = STEP_SECONDS) -> None:
        """What may start arrives at the provider a step later at most."""
        until = self.gates.now + seconds
        while self.gates.now < until:
            self.run(self.gates.later(STEP_SECONDS, POOL, step=STEP_SECONDS))
            for call_id in self.flying():
                input_tokens, output_tokens = self.sizes[call_id]
                if call_id not in self.provider.calls and not self.provider.begin(
                    call_id, self.gates.now, input_tokens, output_tokens
                ):
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
    )
    def enter(self, worker: str, tenant: str, priority: Priority, input_tokens: int, output_tokens: int) -> None:
        if worker in self.dead:
            return
        wanted = call(tenant, input=input_tokens, output=1000, priority=priority)
        entry = self.run(self.gates.enter(POOL, wanted, worker=worker))
        self.entries[entry.id] = entry
        self.sizes[entry.id] = (entry.reservation.input_tokens, output_tokens)
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
        self.run(self.gates.worker()._said(POOL, Headroom()))
        self.run(self.gates.set_clock(real))

    @rule()
    def header(self) -> None:
        self.provider.advance(self.gates.now)
        left = {name: max(0, int(bucket.level)) for name, bucket in self.provider.buckets.items()}
        self.run(self.gates.worker()._said(POOL, Headroom({}, left)))
        self.pass_time()

    @precondition(lambda self: len(self.dead) < len(WORKERS) - 1)
    @rule(worker=st.sampled_from(WORKERS[1:]))
    def die(self, worker: str) -> None:
        """Its calls are answered to nobody."""
        self.dead.add(worker)
        self.gates.forget(worker)
        self.pass_time(13)
        for call_id in [each for each, entry in self.entries.items() if entry.worker == worker]:
            del self.entries[call_id]
            assert call_id not in {*self.flying(), *self.waiting()}
        self.pass_time()

    @invariant()
    def each_is_in_one_place(self) -> None:
        flying, waiting = self.flying(), self.waiting()
        assert not set(flying) & set(waiting)
        assert {*flying, *waiting} == set(self.entries)
        lines = [
            each
            for name in ("high", "standard", "low")
            for each in self.run(self.redis.zrange(keys.gate_line(POOL.name, name), 0, -1))
        ]
        assert sorted(lines) == waiting
        assert len(flying) <= POOL.limits.in_flight

    @invariant()
    def what_is_kept_for_people_to_see_is_as_if_it_were_counted(self) -> None:
        waits = Counter(self.entries[each].reservation.call.asker.tenant for each in self.waiting())
        kept = self.run(self.redis.hgetall(keys.gate_tenants(POOL.name)))
        assert {tenant: int(count) for tenant, count in kept.items()} == waits
        reserved = sum(self.entries[each].reservation.input_tokens for each in self.flying())
        assert self.run(self.gates.look(POOL))["input"]["reserved"] == reserved

    @invariant()
    def it_never_believes_in_more_than_there_is(self) -> None:
        self.provider.advance(self.gates.now)
        seen = self.run(self.gates.look(POOL))
        for name in ("requests", "input"):
            bucket = self.provider.buckets[name]
            assert seen[name]["level"] <= bucket.level + LAG_SECONDS * bucket.limit / 60 + 1.01

    def teardown(self) -> None:
        for entry in self.entries.values():
            self.run(self.gates.leave(entry, Spent(used=Used())))
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
    scripts.script.cache_clear()
