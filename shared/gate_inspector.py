"""Looking at the gate without passing it."""

import json
from typing import Any

from shared import keys
from shared.pool import Pool
from shared.redis_client import Redis
from shared.scripts import script


class GateInspector:
    """Raises StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def look(self, pool: Pool) -> dict[str, Any]:
        """The pool as it stands, in the fields that `shared/lua/gate_read.lua` names."""
        where = {"state": keys.gate_state(pool.name), "calls": keys.gate_calls(pool.name)}
        seen: dict[str, Any] = json.loads(
            await script("gate_read")(self._redis, where, {"limits": pool.limits.as_json()})
        )
        return seen
