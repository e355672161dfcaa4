"""What a job of an agent is likely to cost: the median of what its last jobs cost, which an odd one does not move.

It is kept by the script that ends a job (`job_finish.lua`), of jobs that succeeded or were stopped by a limit, of all
tenants together.
"""

from statistics import median_low

from shared import keys
from shared.redis_client import Redis, reachable


class Forecasts:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self) -> dict[str, int]:
        """Nano-dollars by agent; one of which nothing is known is absent. Raises StoreUnavailable."""
        async with reachable():
            costs = await self._redis.hgetall(keys.COSTS)
        return {agent: median_low(map(int, text.split())) for agent, text in costs.items()}
