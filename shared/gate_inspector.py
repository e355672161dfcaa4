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
        name = pool.name
        where = {
            "state": keys.gate_state(name),
            "high": keys.gate_line(name, "high"),
            "standard": keys.gate_line(name, "standard"),
            "low": keys.gate_line(name, "low"),
            "waiting": keys.gate_waiting(name),
            "tenants": keys.gate_tenants(name),
            "calls": keys.gate_calls(name),
            "tags": keys.gate_tags(name),
        }
        seen: dict[str, Any] = json.loads(
            await script("gate_read")(self._redis, where, {"tenant": tenant, "limits": pool.limits.as_json()})
        )
        return seen
