"""What a worker asks of the gate: one method per function in `shared/lua/gate_*.lua`, each one atomic step."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from shared import keys
from shared.errors import NoRoomYet, RequestTooLarge, RetriesSpent
from shared.gate_news import Item
from shared.pool import Call, Pool, Reservation
from shared.redis_client import Redis
from shared.scripts import script


class GateCommands:
    """Answers are as the scripts' headers say. `news` is told before anything else is done. Raises StoreUnavailable."""

    def __init__(self, redis: Redis, owner: str) -> None:
        self._redis = redis
        self._owner = owner

    async def enter(self, call_id: str, pool: Pool, call: Call, place: str = "", news: Sequence[Item] = ()) -> Any:
        """`place` is where the call stood in line before, '' for a new one: elsewhere than at `call.place` when it has
        been in line since it was refused."""
        wanted = {
            "tenant": call.asker.tenant,
            "weight": call.asker.weight,
            "class": call.asker.priority_class,
            "agent": call.asker.agent,
            "turn": call.turn,
            "characters": call.characters,
            "max_output": call.max_output_tokens,
        }
        if place:
            wanted["place"] = float(place)
        if call.place:
            wanted |= {"again": True, "paid": place != call.place}
        return await script("gate_enter")(
            self._redis,
            _keys(pool),
            {
                "asking": call_id,
                "worker": self._owner,
                "call": json.dumps(wanted),
                "said": _said(news),
                "limits": pool.limits.as_json(),
            },
        )

    async def tell(self, pool: Pool, *news: Item) -> Any:
        """Nothing, when the leader comes again."""
        return await script("gate_tell")(
            self._redis, _keys(pool), {"worker": self._owner, "said": _said(news), "limits": pool.limits.as_json()}
        )

    async def keep(
        self, pool: Pool, waiting: list[str], known: Iterable[str] | None = None, news: Sequence[Item] = ()
    ) -> Any:
        """`known` are all calls of this worker, if the gate may hold others of it."""
        return await script("gate_keep")(
            self._redis,
            _keys(pool),
            {
                "worker": self._owner,
                "ids": json.dumps(waiting),
                "known": "" if known is None else json.dumps(dict.fromkeys(known, True)),
                "said": _said(news),
                "limits": pool.limits.as_json(),
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
            keys.gate(passed.pool.name) | {"adopted": keys.gate_adopted(passed.pool.name, passed.id)},
            {
                "worker": self._owner,
                "id": passed.id,
                "call": json.dumps(record),
                "age_ms": seconds_ago * 1000,
                "limits": passed.pool.limits.as_json(),
            },
        )


def check_let_in(answer: Any, pool: Pool, in_outage: bool) -> None:
    """Raises RequestTooLarge, RetriesSpent, NoRoomYet if the call is not let into the line."""
    match answer[0]:
        case "too_large":
            raise RequestTooLarge(
                f"the call needs about {answer[1]} input tokens, but {pool.name} allows {answer[2]} in a whole minute"
            )
        case "spent":
            raise RetriesSpent
        case "shut" if not in_outage:
            raise NoRoomYet(answer[1] / 1000, outage=True)


def _keys(pool: Pool) -> dict[str, str]:
    return keys.gate(pool.name) | {"estimates": keys.gate_estimates(pool.name)}


def _said(news: Sequence[Item]) -> str:
    return json.dumps(news) if news else ""
