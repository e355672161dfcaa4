"""What is left of finished jobs once their retention is over.

Redis itself removes a job's keys, which got a lifetime when the job ended; so a janitor that is late, or not there,
keeps nobody's data longer than promised. Only the ids in the tenants' lists are left to sweep out.
"""

from shared import keys
from shared.redis_client import Redis, reachable
from shared.scripts import script

SWEEP_SECONDS = 60
_SAMPLE, _PAGE = 20, 1000


class Janitor:
    """`sweep` is to be called now and then, by any number of processes. Raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def sweep(self) -> None:
        """Goes through each tenant's oldest jobs, and on while many of them are gone. One process a minute does."""
        async with reachable():
            if not await self._redis.set(keys.JANITOR, "1", px=(SWEEP_SECONDS - 5) * 1000, nx=True):
                return
            tenants = await self._redis.smembers(keys.LISTED)
        for tenant in sorted(tenants):
            if await self._forget(tenant, _SAMPLE):
                while await self._forget(tenant, _PAGE) > _PAGE / 2:
                    pass

    async def _forget(self, tenant: str, most: int) -> int:
        return int(await script("jobs_forget")(self._redis, {}, {"tenant": tenant, "most": most}))
