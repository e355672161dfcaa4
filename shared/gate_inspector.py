"""Looking at the gate without passing it."""

import json
from typing import Any

from shared import keys
from shared.pool import Pool
from shared.redis_client import Redis
from shared.scripts import script

EVERY_TENANT = "*"


class GateInspector:
    """Raises StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def look(self, pool: Pool, tenant: str = "") -> dict[str, Any]:
        """The pool as it stands, in the fields that `shared/lua/gate_read.lua` names; `own` are the tenant's, or
        `by_tenant` those of each for EVERY_TENANT."""
        where = keys.gate(pool.name)
        del where["holders"]  # a look needs nobody's sign of life
        seen: dict[str, Any] = json.loads(
            await script("gate_read")(self._redis, where, {"tenant": tenant, "limits": pool.limits.as_json()})
        )
        return seen
