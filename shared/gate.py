"""The gate: one Redis-coordinated budget per quota pool that every model call of every worker passes.

What a pool's budget is and how it is booked stands in `shared/lua/gate_*.lua`. A reservation is good for one
attempt: it is settled with what the attempt really used, whatever became of it.
"""

import asyncio
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared import backoff, ids, keys, log
from shared.errors import RequestTooLarge, StoreUnavailable
from shared.redis_client import Redis, until_reachable
from shared.scripts import script

logger = log.get(__name__)

LEASE_MS = 30_000
"""How long a call in flight keeps its place without a sign of life of its worker."""
RENEW_SECONDS = LEASE_MS / 3000
_LONGEST_PAUSE_SECONDS = 3600.0
_BUSY_SECONDS = 0.1
_BUSY_CAP_SECONDS = 1.0
_LONGEST_SLEEP_SECONDS = 1.0
"""How long a waiting call trusts an answer: limits are learned and others pause the pool meanwhile."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the provider allows a pool, per minute, and how many calls may be in flight."""

    requests: int
    input: int
    output: int
    in_flight: int

    def as_json(self) -> str:
        return json.dumps(
            {
                "requests": self.requests,
                "input": self.input,
                "output": self.output,
                "in_flight": self.in_flight,
            }
        )


@dataclass(frozen=True, slots=True)
class Pool:
    name: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Call:
    """A model call that wants to pass: whose, its size in characters, and the most it may say in tokens."""

    agent: str
    characters: int
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """A call's place at the gate. As things stood when it was booked it may start `wait` seconds after."""

    id: str
    pool: Pool
    call: Call
    wait: float
    input_tokens: int
    output_tokens: int
    booking: str


@dataclass(frozen=True, slots=True)
class Used:
    """What the provider counted of an attempt; input tokens without cache reads."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def as_json(self) -> str:
        return json.dumps({"requests": self.requests, "input": self.input_tokens, "output": self.output_tokens})


@dataclass(frozen=True, slots=True)
class Spent:
    """How an attempt ended. `used` is None when nobody knows what the provider counted.

    `prompt_tokens` are all input tokens of an attempt that succeeded, cache reads among them. `limit` and `remaining`
    are what the answer's headers said, by dimension (requests, input, output). `pause` is how many seconds the
    provider asked everybody to stay away.
    """

    used: Used | None = None
    prompt_tokens: int | None = None
    limit: Mapping[str, int] = field(default_factory=dict)
    remaining: Mapping[str, int] = field(default_factory=dict)
    pause: float = 0


class Gate:
    """Without Redis nobody knows what is left of the budget, so calls wait until it is back."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._in_flight: dict[str, set[str]] = {}
        self._late: set[asyncio.Task[None]] = set()

    async def reserve(self, pool: Pool, call: Call) -> Reservation:
        """Books a call; waits only while as many calls are in flight as allowed. Raises RequestTooLarge.

        A cancel while the answer is under way gives back what was booked.
        """
        call_id = ids.new_call_id()
        self._in_flight.setdefault(pool.name, set()).add(call_id)
        try:
            for refusals in itertools.count(1):
                answer = await until_reachable(lambda: self._book(call_id, pool, call))
                match answer:
                    case ["granted", wait_ms, booking]:
                        need = json.loads(booking)["need"]
                        return Reservation(call_id, pool, call, wait_ms / 1000, need["input"], need["output"], booking)
                    case ["too_large", tokens, limit]:
                        raise RequestTooLarge(
                            f"the call needs about {tokens} input tokens, "
                            f"but {pool.name} allows {limit} in a whole minute"
                        )
                await asyncio.sleep(backoff.full_jitter(refusals, base=_BUSY_SECONDS, cap=_BUSY_CAP_SECONDS))
        except BaseException:
            await self.settle(Reservation(call_id, pool, call, 0, 0, 0, ""), Spent(Used()))
            raise
        raise AssertionError("unreachable")

    async def until_ready(self, reservation: Reservation) -> None:
        """Returns once the booked call may start."""
        wait = reservation.wait
        while wait > 0:
            await asyncio.sleep(min(wait, _LONGEST_SLEEP_SECONDS))
            wait = await until_reachable(lambda: self._still_to_wait(reservation))

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Ends a booked call: frees its place, corrects the budget by what was used, learns from it.

        Never raises: an answer that was paid for must not be lost to the books. Without Redis it is done later.
        """
        self._in_flight.get(reservation.pool.name, set()).discard(reservation.id)
        try:
            await self._settle(reservation, spent)
        except StoreUnavailable:
            late = asyncio.create_task(until_reachable(lambda: self._settle(reservation, spent)))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
        except Exception as error:
            logger.warning("gate_not_settled", pool=reservation.pool.name, error=f"{type(error).__name__}: {error}")

    async def _book(self, call_id: str, pool: Pool, call: Call) -> Any:
        return await script("gate_reserve")(
            self._redis,
            _keys(pool),
            {
                "id": call_id,
                "agent": call.agent,
                "characters": call.characters,
                "max_output": call.max_output_tokens,
                "limits": pool.limits.as_json(),
                "lease_ms": LEASE_MS,
            },
        )

    async def _still_to_wait(self, reservation: Reservation) -> float:
        answer = await script("gate_ready")(
            self._redis,
            {"state": keys.gate_state(reservation.pool.name)},
            {"booking": reservation.booking, "limits": reservation.pool.limits.as_json()},
        )
        return float(answer) / 1000

    async def _settle(self, reservation: Reservation, spent: Spent) -> None:
        learn = spent.used is not None and spent.prompt_tokens is not None
        observed = {
            "limit": dict(spent.limit),
            "remaining": dict(spent.remaining),
            "prompt": spent.prompt_tokens or 0,
        }
        await script("gate_settle")(
            self._redis,
            _keys(reservation.pool),
            {
                "id": reservation.id,
                "agent": reservation.call.agent,
                "limits": reservation.pool.limits.as_json(),
                "used": spent.used.as_json() if spent.used else "",
                "characters": reservation.call.characters if learn else 0,
                "observed": json.dumps(observed),
                "pause_ms": int(min(spent.pause, _LONGEST_PAUSE_SECONDS) * 1000),
            },
        )

    async def renew(self) -> None:
        """Keeps the places of this process's calls in flight; to be called well within LEASE_MS."""
        for pool, calls in list(self._in_flight.items()):
            if calls:
                await script("gate_renew")(
                    self._redis,
                    {"calls": keys.gate_calls(pool)},
                    {"ids": json.dumps(sorted(calls)), "lease_ms": LEASE_MS},
                )


def _keys(pool: Pool) -> dict[str, str]:
    return {
        "state": keys.gate_state(pool.name),
        "calls": keys.gate_calls(pool.name),
        "bookings": keys.gate_bookings(pool.name),
        "estimates": keys.gate_estimates(pool.name),
    }
