"""A gate whose time passes when a test says so: the scripts' clock is a key, everything else is as it runs."""

import itertools
import json
from typing import Any

import pytest

from shared import keys, scripts
from shared.gate import KEEP_SECONDS, Gate
from shared.gate_inspector import GateInspector
from shared.gate_news import begun, ended
from shared.job import Priority
from shared.pool import Asker, Call, Headroom, Limits, Pool, Reservation, Spent, Used
from shared.told import Grant

_CLOCK = "test:clock"
_ASKED = "redis.call('TIME')"
_ids = itertools.count(1)


def pool(**limits: int) -> Pool:
    return Pool(
        "sonnet", Limits(**{"requests": 600, "input": 600_000, "output": 6_000_000, "in_flight": 1000} | limits)
    )


def call(
    tenant: str = "default",
    *,
    input: int = 90,
    output: int = 50,
    agent: str = "assistant",
    priority: Priority = Priority.STANDARD,
    weight: float = 1,
    place: str = "",
) -> Call:
    """Before anything is learned, a character is 0.3 tokens, and a call says what it may at most."""
    return Call(Asker(agent, tenant, weight, priority), round(input / 0.3), output, place=place)


class Gates:
    """All gates of a fleet at one Redis, and their time."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.now = 1_800_000_000.0
        self._kept = self.now
        self._workers: dict[str, Gate] = {}

    async def set_clock(self, seconds: float) -> None:
        self.now = seconds
        await self.redis.set(_CLOCK, f"{int(seconds)} {round(seconds % 1 * 1e6)}", ex=600)

    async def later(self, seconds: float, where: Pool | None = None, step: float = 0.05) -> None:
        """Time passes. Whoever leads comes again as often as is needed, and all say that they live, but for `dead`."""
        until = self.now + seconds
        while self.now < until:
            await self.set_clock(min(until, self.now + step))
            if where:
                await self.worker().commands.tell(where)
                if self.now >= self._kept + KEEP_SECONDS:
                    await self._keep(where)

    async def _keep(self, where: Pool) -> None:
        self._kept = self.now
        for name, gate in self._workers.items():
            if name != "dead":
                await gate.commands.keep(where, [])

    async def fill(self, where: Pool) -> None:
        """The pool is known, its buckets hold a tenth of a minute's worth as an answer has shown, and are full."""
        entry = await self.enter(where, call("scout", agent="scout", input=1, output=1))
        limits = where.limits
        shown = {"requests": limits.requests, "input": limits.input, "output": limits.output}
        await self.worker().commands.tell(where, begun(entry.id, Headroom({}, shown)))
        await self.leave(entry, Spent(used=Used()))
        await self.later(60)

    def worker(self, name: str = "w1") -> Gate:
        return self._workers.setdefault(name, Gate(self.redis, name))

    def forget(self, name: str) -> None:
        """This worker says nothing any more."""
        self._workers.pop(name, None)

    async def look(self, where: Pool) -> Any:
        """The pool as it stands."""
        return await GateInspector(self.redis).look(where)

    async def enter(self, where: Pool, wanted: Call, *, worker: str = "w1", call_id: str = "") -> "Entry":
        call_id = call_id or f"call_{next(_ids)}"
        heed, answer = await self.worker(worker).commands.enter(call_id, where, wanted, wanted.place)
        return Entry(call_id, where, wanted, worker, heed, answer)

    async def leaves(self, where: Pool, call_id: str) -> dict[str, int]:
        """What should be left when this call has got to the provider, as its worker was told with its grant."""
        record = "return cjson.encode(cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1])).leaves)"
        requests, input, output = json.loads(await self.redis.eval(record, 1, keys.gate_calls(where.name), call_id))
        return dict(Grant.said(0, 0, map(int, (requests, input, output))).leaves)

    async def leave(self, entry: "Entry", spent: Spent) -> None:
        await self.worker(entry.worker).commands.tell(entry.reservation.pool, ended(entry.reservation, spent, 0.5))

    async def ends(self, entry: "Entry", *, input: int = 90, output: int = 50) -> None:
        """It has succeeded, and used so much."""
        await self.leave(entry, Spent("ok", Used(1, input, output)))

    async def in_flight(self, where: Pool) -> set[str]:
        return set(await self.redis.hkeys(keys.gate_calls(where.name)))

    async def waiting(self, where: Pool) -> set[str]:
        return set(await self.redis.hkeys(keys.gate_waiting(where.name)))

    async def close(self) -> None:
        await self.redis.delete(_CLOCK)


class Entry:
    """A call at the gate. `granted` and `wait` (seconds) are what it was told when it came, `spent` that it was not let
    in line."""

    def __init__(
        self, call_id: str, where: Pool, wanted: Call, worker: str, heed: list[int], answer: list[Any]
    ) -> None:
        self.id = call_id
        self.worker = worker
        self.spent = answer[0] == "spent"
        if self.spent:
            answer = ["spent", 0, 0, 0, ""]
        what, wait_ms, input_tokens, output_tokens, place, *leaves = answer
        self.next_ms, self.leads = heed[:2]
        self.granted = what in ("granted", "tries")
        self.wait = wait_ms / 1000
        self.reservation = Reservation(
            call_id,
            where,
            wanted,
            input_tokens,
            output_tokens,
            place,
            tries=what == "tries",
            leaves=Grant.said(wait_ms, 0, leaves).leaves,
        )


def with_test_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts ask a key for the time, from now on until the test has ended."""
    read = scripts._read

    def patched(name: str) -> str:
        text = read(name)
        return (
            text.replace(_ASKED, f"{{string.match(redis.call('GET', '{_CLOCK}'), '(%d+) (%d+)')}}")
            if name == "gate_pool"
            else text
        )

    forget_scripts()
    monkeypatch.setattr(scripts, "_read", patched)


def forget_scripts() -> None:
    """They are made anew of what `scripts._read` reads from now on."""
    for cached in (scripts.script, scripts._library):
        cached.cache_clear()
