"""Sessions: what the jobs of a conversation know of each other. The scripts that take in and end jobs write it."""

from dataclasses import dataclass
from enum import StrEnum

from shared import keys
from shared.history import Exchange
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.states import Status


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as it stands. `live` is the id of its live job, with its status; behind it `waiting` jobs are in line.
    `expires_ms` is None while there is one."""

    history: list[Exchange]
    live: tuple[str, Status] | None
    waiting: int
    expires_ms: int | None


class Forgetting(StrEnum):
    """What became of a wish to forget a session."""

    DELETED = "deleted"
    BUSY = "busy"
    UNKNOWN = "unknown"


class Sessions:
    """All methods raise StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def history(self, tenant: str, session_id: str) -> list[Exchange]:
        """What is remembered, the oldest first. It does not change while a job of the session is live, unless a job in
        it is deleted. Raises KeyError, TypeError or ValueError for what another version wrote."""
        async with reachable():
            entries = await self._redis.lrange(keys.session_history(tenant, session_id), 0, -1)
        return [Exchange.from_json(entry) for entry in entries]

    async def read(self, tenant: str, session_id: str) -> SessionView | None:
        """None for a session there is not, another tenant's included."""
        answer = await script("session_read")(self._redis, {}, {"tenant": tenant, "session": session_id})
        if not answer:
            return None
        expires_ms, live, status, in_line, entries = answer
        return SessionView(
            history=[Exchange.from_json(entry) for entry in entries],
            live=(live, Status(status)) if live else None,
            waiting=max(0, in_line - 1),
            expires_ms=expires_ms or None,
        )

    async def forget(self, tenant: str, session_id: str) -> tuple[Forgetting, str]:
        """Erases what is remembered and noted, unless a job is live, whose id it then names."""
        became, live = await script("session_delete")(self._redis, {}, {"tenant": tenant, "session": session_id})
        return Forgetting(became), live
