"""Notes an agent keeps for itself, by title: in its session if it has one, else in its job."""

from shared import keys
from shared.redis_client import Redis, reachable, until_reachable

MAX_NOTES = 100
_LONGEST_JOB_SECONDS = 30 * 86_400
"""How long notes live by themselves. The end of the job, or of the last one of the session, sets when they go."""


class Scratchpad:
    """A tool that takes notes waits for a Redis that is away, as long as its own time-out lets it."""

    def __init__(self, redis: Redis, *, tenant: str, session_id: str | None, job_id: str) -> None:
        self._redis = redis
        self._key = keys.session_notes(tenant, session_id) if session_id else keys.job_notes(job_id)

    async def write(self, title: str, text: str) -> bool:
        """Keeps a note, over one of the same title. False when there are too many."""
        return await until_reachable(lambda: self._write(title, text))

    async def read(self) -> dict[str, str]:
        """All notes by title."""
        return await until_reachable(self._read)

    async def _write(self, title: str, text: str) -> bool:
        async with reachable():
            if await self._redis.hlen(self._key) >= MAX_NOTES and not await self._redis.hexists(self._key, title):
                return False
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(self._key, title, text)
                pipe.expire(self._key, _LONGEST_JOB_SECONDS)
                await pipe.execute()
        return True

    async def _read(self) -> dict[str, str]:
        async with reachable():
            notes = await self._redis.hgetall(self._key)
        return dict(sorted(notes.items()))
