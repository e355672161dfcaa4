"""What may be left in Redis: keys with a lifetime, those few that are meant to stay, and what unfinished jobs need.

And whether the books are right: the counts by status are kept, not counted, so here they are counted.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

from shared import keys
from shared.states import FINISHED

_STAY = {keys.AGENTS, keys.WAKE, keys.LISTED, keys.OUTBOX_WAKE}
_STAY_UNTIL_DELETED = (keys.ENDPOINT, keys.TENANT_ENDPOINTS)
_PER_JOB = {keys.LEASES, keys.RETURNING, keys.EXPIRING, keys.DECIDING}
_PER_TENANT = {keys.TENANTS, keys.TURNS_TAKEN, keys.READY, keys.COUNTS, keys.WAITS, keys.RESERVED}


async def leaked_keys(redis: Any) -> list[str]:
    """Keys, or parts of them, that will never go away and belong to no unfinished job; and counts that are wrong."""
    everything = [key async for key in redis.scan_iter(count=1000)]
    queues = [key for key in everything if key == keys.ARQ_QUEUE or key.startswith(keys.ARQ_TENANT_QUEUE)]
    unfinished = {job_id for queue in queues for job_id in await redis.zrange(queue, 0, -1)}
    tenants = {keys.DEFAULT_TENANT} if keys.ARQ_QUEUE in queues else set()
    tenants |= {queue.removeprefix(keys.ARQ_TENANT_QUEUE) for queue in queues if queue != keys.ARQ_QUEUE}
    suspects = [key for key in everything if not (key in _STAY or key in queues or key.startswith(_STAY_UNTIL_DELETED))]
    lifetimes = await at_once(redis, (("ttl", key) for key in suspects))
    left = [key for key, seconds in zip(suspects, lifetimes, strict=True) if seconds == -1]
    leaks = await asyncio.gather(
        *(_leaks(redis, key, unfinished, tenants) for key in left),
        _wrong_counts(redis, unfinished),
        _orphans(redis),
    )
    return sorted(chain.from_iterable(leaks))


async def at_once(redis: Any, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The answers to all of these in one round trip: this runs after each test, and after each step of some."""
    async with redis.pipeline(transaction=False) as pipe:
        for name, *arguments in commands:
            getattr(pipe, name)(*arguments)
        answers: list[Any] = await pipe.execute()
        return answers


async def _leaks(redis: Any, key: str, unfinished: set[str], tenants: set[str]) -> list[str]:
    """The key itself, or members of it, when they belong to nothing that is still to be done."""
    if key == keys.OUTBOX or key.startswith((keys.OUTBOX_HOST, keys.DELIVERY)):
        return await _not_to_be_sent(redis, key)
    if key == keys.WORKERS:
        return [] if await redis.exists(keys.LEASES) else [key]
    if key in _PER_JOB or key.startswith(keys.HELD):
        return [f"{key}: {member}" for member in await _members(redis, key) if member not in unfinished]
    if key in _PER_TENANT:
        members = await _members(redis, key)
        return [
            f"{key}: {member}" for member in members if member.split(":")[0] not in tenants and tenants != set()
        ] + ([] if tenants else [key])
    if key.startswith(keys.TENANT_ACTIONS):
        return [f"{key}: {one}" for one in await _members(redis, key) if not await _waits(redis, one)]
    if key.startswith(keys.TENANT_JOBS):
        return [] if key.removeprefix(keys.TENANT_JOBS) in tenants else [key]
    if key.startswith(keys.SESSION):
        line = key.rpartition(":")[0] + keys.LINE
        in_line = await redis.zrange(line, 0, -1)
        left = [f"{line}: {job_id}" for job_id in in_line if job_id not in unfinished]
        return left or ([] if in_line else [key])
    if key.startswith("sluice:idempotency:"):
        return [] if await redis.hget(key, "job_id") in unfinished else [key]
    return [] if any(job_id in key for job_id in unfinished) else [key]


async def _waits(redis: Any, entry: str) -> bool:
    """Whether an entry of an inbox is one that its job waits for."""
    action_id, _, job_id = entry.partition(" ")
    status, asks = await redis.hmget(keys.job(job_id), "status", "asks")
    return bool(status == "requires_action" and action_id in (asks or "").split())


async def _not_to_be_sent(redis: Any, key: str) -> list[str]:
    """Parts of the outbox that belong to no delivery that is still to be made."""
    if key == keys.OUTBOX:
        hosts = await redis.zrange(key, 0, -1)
        return [f"{key}: {host}" for host in hosts if not await redis.exists(keys.OUTBOX_HOST + host)]
    if key.startswith(keys.OUTBOX_HOST):
        ids = await redis.zrange(key, 0, -1)
        states = await at_once(redis, (("hget", keys.delivery(one), "state") for one in ids))
        return [f"{key}: {one}" for one, state in zip(ids, states, strict=True) if state != "pending"]
    delivery_id = key.removeprefix(keys.DELIVERY).removesuffix(keys.ATTEMPTS)
    host = await redis.hget(keys.delivery(delivery_id), "host")
    return [] if host and await redis.zscore(keys.OUTBOX_HOST + host, delivery_id) is not None else [key]


async def _orphans(redis: Any) -> list[str]:
    """Jobs that nobody would miss: their owner is not of the fleet, or does not count them among its own."""
    workers = await redis.smembers(keys.WORKERS)
    return [
        f"{keys.LEASES}: {job_id} of {owner}"
        for job_id, owner in (await redis.hgetall(keys.LEASES)).items()
        if owner not in workers or not await redis.sismember(keys.HELD + owner, job_id)
    ]


async def _members(redis: Any, key: str) -> list[str]:
    if await redis.type(key) == "set":
        return list(await redis.smembers(key))
    if await redis.type(key) == "hash":
        return [field for field in await redis.hkeys(key) if not field.startswith(":") and field]
    members: list[str] = await redis.zrange(key, 0, -1)
    return members


async def _wrong_counts(redis: Any, unfinished: set[str]) -> list[str]:
    true: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    reserved: Counter[str] = Counter()
    fields = ("status", "tenant", "wait_reason", "reserved")
    jobs = await at_once(redis, (("hmget", keys.job(job_id), *fields) for job_id in unfinished))
    for status, tenant, reason, nano in jobs:
        if nano:
            reserved[tenant] += int(nano)
        if reason:
            reasons.update([f"{tenant}:{reason}", f":{reason}"])
        if status is not None and status not in FINISHED:
            group = "running" if status == "cancelling" else status
            true.update([f"{tenant}:{group}", f":{group}"])
    wrong = []
    for key, counted in ((keys.COUNTS, true), (keys.WAITS, reasons), (keys.RESERVED, reserved)):
        kept = {field: int(number) for field, number in (await redis.hgetall(key)).items()}
        wrong += [] if kept == counted else [f"{key}: {kept} should be {dict(counted)}"]
    return wrong
