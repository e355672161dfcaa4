"""What may be left in Redis: keys with a lifetime, and those few that are meant to stay."""

from shared import keys
from shared.redis_client import Redis

_STAY = {keys.DRAIN, keys.AGENTS, keys.WAKE}


async def leaked_keys(redis: Redis) -> list[str]:
    """Keys that will never go away and belong to no unfinished job."""
    unfinished = set(await redis.zrange(keys.ARQ_QUEUE, 0, -1))
    leaks = []
    async for key in redis.scan_iter(count=1000):
        if key in _STAY or await redis.ttl(key) != -1:
            continue
        if not await _belongs(redis, key, unfinished):
            leaks.append(key)
    return sorted(leaks)


async def _belongs(redis: Redis, key: str, unfinished: set[str]) -> bool:
    if key == keys.ARQ_QUEUE:
        return True
    if key == keys.LEASES:
        return set(await redis.hkeys(key)) <= unfinished
    if key == keys.RETURNING:
        return set(await redis.zrange(key, 0, -1)) <= unfinished
    if key.startswith("sluice:tenant:"):
        return True  # a list of ids, trimmed as it is read
    if key.startswith("sluice:idempotency:"):
        return await redis.hget(key, "job_id") in unfinished
    return any(job_id in key for job_id in unfinished)
