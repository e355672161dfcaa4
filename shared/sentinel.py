"""Finding the master behind Redis Sentinel, and not believing the one before it.

redis-py asks the sentinels for each new connection, and goes on using the old ones. A master that was only frozen or
cut off takes itself for the master still when it comes back, until a sentinel demotes it, and all that it answers in
between is lost: jobs accepted, turns written. So here an answer counts only while its connection leads to the master
we know, and one that was long in coming only after the sentinels were asked again.
"""

from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import asyncio as redis_asyncio
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.exceptions import ConnectionError, TimeoutError

from shared import clock

_PORT = 26379
_SENTINEL_SECONDS = 1.0
"""How long one sentinel may take. They are asked one after the other, the one that answered last time first."""
_DOUBTFUL_SECONDS = 0.5
"""No failover is as quick as that: an answer that took longer may come from a master that is none any more."""


class _Connection(SentinelManagedConnection):
    """A connection whose answers count only while it leads to the master."""

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        asked = clock.monotonic()
        answer = await super().read_response(*arguments, **options)
        if clock.monotonic() - asked > _DOUBTFUL_SECONDS:
            await self.connection_pool.confirm()
        if not self.connection_pool.leads_to_master(self):
            await self.disconnect(nowait=True)
            raise ConnectionError("this came from a former master")
        return answer


class _Pool(SentinelConnectionPool, redis_asyncio.BlockingConnectionPool):
    """Blocking, so that it connects outside of its lock: see `shared.redis_client.connect`."""

    def leads_to_master(self, connection: Any) -> bool:
        return self.master_address in (None, (connection.host, connection.port))

    async def confirm(self) -> None:
        """Asks who the master is; while no sentinel can be reached it is still the one we know."""
        for sentinel in list(self.sentinel_manager.sentinels):
            with suppress(ConnectionError, TimeoutError):
                self.master_address = await sentinel.sentinel_get_master_addr_by_name(self.service_name)
                return

    async def ensure_connection(self, connection: Any) -> None:
        """One that leads to a former master is closed first; connecting anew it finds the present one."""
        if not self.leads_to_master(connection):
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)


def behind_sentinel(url: str, *, max_connections: int, wait_seconds: float, **options: Any) -> redis_asyncio.Redis:
    """A client for redis+sentinel://[user:password@]host:port,host:port/service[/db]."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    user, _, password = credentials.partition(":")
    if credentials:
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    addresses = [(host, int(port or _PORT)) for host, _, port in (one.partition(":") for one in hosts.split(","))]
    watching = {"socket_timeout": _SENTINEL_SECONDS, "decode_responses": True}
    sentinel: Any = Sentinel(addresses, sentinel_kwargs=watching)  # type: ignore[no-untyped-call]
    pool: Any = _Pool(  # type: ignore[no-untyped-call]
        service,
        sentinel,
        connection_class=_Connection,
        db=int(database or 0),
        max_connections=max_connections,
        timeout=wait_seconds,
        **options,
    )
    return redis_asyncio.Redis(connection_pool=pool)
