"""What a worker tells the gate: one method per script in `shared/lua/gate_*.lua`, each one atomic step."""

import json
from collections.abc import Iterable
from typing import Any

from shared import keys
from shared.pool import NOTHING_SAID, Call, Headroom, Pool, Reservation, Spent
from shared.redis_client import Redis
from shared.scripts import script

_LONGEST_PAUSE_SECONDS = 3600.0


class GateCommands:
    """Answers are as the scripts' headers say. Raises StoreUnavailable."""

    def __init__(self, redis: Redis, owner: str) -> None:
        self._redis = redis
        self._owner = owner

    async def enter(self, call_id: str, pool: Pool, call: Call, place: str = "") -> Any:
        """`place` is where the call stood in line before, '' for a new one."""
        wanted = {
            "tenant": call.asker.tenant,
            "weight": call.asker.weight,
            "class": call.asker.priority_class,
            "agent": call.asker.agent,
            "turn": call.turn,
            "characters": call.characters,
            "max_output": call.max_output_tokens,
            "place": float(place) if place else False,
            "again": bool(call.place),
        }
        return await script("gate_enter")(
            self._redis,
            _keys(pool, estimates=True),
            {"asking": call_id, "worker": self._owner, "call": json.dumps(wanted), "limits": pool.limits.as_json()},
        )

    async def observe(self, pool: Pool, headroom: Headroom = NOTHING_SAID, call_id: str = "") -> Any:
        """What the answer to a call of this id began with; without it, the leader comes again."""
        said = {
            "limit": dict(headroom.limit),
            "remaining": dict(headroom.remaining),
            "input": False if headroom.input_tokens is None else headroom.input_tokens,
        }
        return await script("gate_observe")(
            self._redis,
            _keys(pool),
            {
                "worker": self._owner,
                "id": call_id,
                "said": "" if headroom is NOTHING_SAID else json.dumps(said),
                "limits": pool.limits.as_json(),
            },
        )

    async def keep(self, pool: Pool, waiting: list[str], known: Iterable[str] | None = None) -> Any:
        """`known` are all calls of this worker, if the gate may hold others of it."""
        return await script("gate_keep")(
            self._redis,
            _keys(pool),
            {
                "worker": self._owner,
                "ids": json.dumps(waiting),
                "known": "" if known is None else json.dumps(dict.fromkeys(known, True)),
                "limits": pool.limits.as_json(),
            },
        )

    async def leave(self, reservation: Reservation, spent: Spent, jitter: float) -> Any:
        used, retry_after = spent.used, spent.retry_after
        ending = {
            "outcome": spent.outcome,
            "used": {"requests": used.requests, "input": used.input, "output": used.output} if used else False,
            "limit": dict(spent.headroom.limit),
            # By the end of an answer, what was left at its beginning is no news.
            "remaining": dict(spent.headroom.remaining) if spent.outcome == "busy" else {},
            "retry_ms": -1 if retry_after is None else min(retry_after, _LONGEST_PAUSE_SECONDS) * 1000,
            "jitter": jitter,
        }
        return await script("gate_leave")(
            self._redis,
            _keys(reservation.pool, estimates=True),
            {
                "id": reservation.id,
                "worker": self._owner,
                "ending": json.dumps(ending),
                "limits": reservation.pool.limits.as_json(),
            },
        )

    async def adopt(self, passed: Reservation, seconds_ago: float) -> Any:
        """The call passed so long ago by this worker's own budget."""
        asker = passed.call.asker
        record = {
            "tenant": asker.tenant,
            "weight": asker.weight,
            "class": asker.priority_class,
            "agent": asker.agent,
            "turn": passed.call.turn,
            "characters": passed.call.characters,
            "input": passed.input_tokens,
            "output": passed.output_tokens,
            "most": passed.call.max_output_tokens,
        }
        return await script("gate_adopt")(
            self._redis,
            _keys(passed.pool) | {"adopted": keys.gate_adopted(passed.pool.name, passed.id)},
            {
                "worker": self._owner,
                "id": passed.id,
                "call": json.dumps(record),
                "age_ms": seconds_ago * 1000,
                "limits": passed.pool.limits.as_json(),
            },
        )


def _keys(pool: Pool, *, estimates: bool = False) -> dict[str, str]:
    learned = {"estimates": keys.gate_estimates(pool.name)} if estimates else {}
    return keys.gate(pool.name) | learned
