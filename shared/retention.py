"""What is left of finished jobs once their retention is over.

Redis itself removes a job's keys, which got a lifetime when the job ended; so a janitor that is late, or not there,
keeps nobody's data longer than promised. Only the ids in the tenants' lists are left to sweep out.
"""

from shared import keys
from shared.redis_client import Redis, reachable
from shared.scripts import script

SWEEP_SECONDS = 60
_PAGE = 1000


class Janitor:
    """`sweep` is to be called now and then, by any number of processes. Raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def sweep(self) -> None:
        """Goes through each tenant's oldest jobs, and on while many of them are gone."""
        async with reachable():
            tenants = await self._redis.smembers(keys.LISTED)
        for tenant in sorted(tenants):
            while await self._forget(tenant) > _PAGE / 2:
                pass

    async def _forget(self, tenant: str) -> int:
        return int(await script("jobs_forget")(self._redis, {}, {"tenant": tenant, "most": _PAGE}))
