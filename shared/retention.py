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
        self._reached: dict[str, str] = {}

    async def sweep(self) -> None:
        """Goes through each tenant's oldest jobs while some of them are gone. One process a minute does.

        Jobs that live long may stand before others that are gone: so each time one page further on is looked at, too.
        """
        async with reachable():
            if not await self._redis.set(keys.JANITOR, "1", px=(SWEEP_SECONDS - 5) * 1000, nx=True):
                return
            tenants = await self._redis.smembers(keys.LISTED)
        self._reached = {tenant: reached for tenant, reached in self._reached.items() if tenant in tenants}
        for tenant in sorted(tenants):
            last = await self._forget_while_there_are_some(tenant)
            _, self._reached[tenant] = await self._forget(tenant, max(last, self._reached.get(tenant, "")))

    async def _forget_while_there_are_some(self, tenant: str) -> str:
        """The last id it looked at, '' when that was all."""
        taken, last = await self._forget(tenant, "")
        while taken and last:
            taken, last = await self._forget(tenant, last)
        return last

    async def _forget(self, tenant: str, after: str) -> tuple[int, str]:
        taken, last = await script("jobs_forget")(self._redis, {}, {"tenant": tenant, "after": after, "most": _PAGE})
        return taken, last
