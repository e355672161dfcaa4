"""The connection to Redis: where it is, how long it may take, and what its absence is called."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar, cast

from redis import asyncio as redis_asyncio
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from shared import backoff, log
from shared.errors import StoreUnavailable
from shared.line import Client
from shared.sentinel import behind_sentinel

logger = log.get(__name__)

T = TypeVar("T")

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
_MOST_CONNECTIONS = 100

_UNAVAILABLE = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, OSError)
_PASSING = re.compile(
    r"(?:^|-)(NOREPLICAS|MISCONF|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|UNBLOCKED|OOM|READONLY|LOADING)\b"
)
"""What Redis says while it cannot do its work; such an answer says nothing about the command. Redis 6.2 puts it into
the middle of a message when it happened in a script."""


class Redis(Protocol):
    """The client as it is used here: text answers, and only these commands outside of the scripts.

    redis-py types each command as "maybe awaitable" for its two clients at once; here they are plainly async.
    """

    connection_pool: Any

    async def evalsha(self, sha: str, numkeys: int, *values: str | int | float) -> Any: ...
    async def eval(self, text: str, numkeys: int, *values: str | int | float) -> Any: ...
    async def fcall(self, name: str, numkeys: int, *values: str | int | float) -> Any: ...
    async def function_load(self, text: str, *, replace: bool) -> Any: ...
    async def ping(self) -> bool: ...
    async def get(self, key: str) -> str | None: ...
    async def set(
        self,
        key: str,
        value: str,
        *,
        ex: int | None = None,
        px: int | None = None,
        nx: bool = False,
        xx: bool = False,
    ) -> Any: ...
    async def lrange(self, key: str, first: int, last: int) -> list[str]: ...
    async def blpop(self, keys: list[str], timeout: float) -> list[str] | None: ...  # noqa: ASYNC109
    async def smembers(self, key: str) -> AbstractSet[str]: ...
    async def hgetall(self, key: str) -> dict[str, str]: ...
    async def hlen(self, key: str) -> int: ...
    async def hexists(self, key: str, field: str) -> bool: ...
    async def zrange(self, key: str, first: int, last: int, *, withscores: bool) -> list[tuple[str, float]]: ...
    async def zrem(self, key: str, *members: str) -> int: ...
    async def zrangebylex(self, key: str, low: str, high: str, start: int, num: int) -> list[str]: ...
    async def zrevrangebylex(self, key: str, high: str, low: str, start: int, num: int) -> list[str]: ...
    def pipeline(self, *, transaction: bool) -> Any: ...
    def pubsub(self, *, ignore_subscribe_messages: bool) -> Any: ...
    async def aclose(self, close_connection_pool: bool | None = None) -> None: ...


@asynccontextmanager
async def reachable(seconds: float | None = ANSWER_SECONDS) -> AsyncIterator[None]:
    """Around any command: a Redis that is away, silent, loading, full or a replica becomes StoreUnavailable.

    The time-out is here and not in redis-py, whose own sends through `asyncio.wait_for`: until Python 3.12 that
    swallows a cancel that comes just as the send succeeds (CPython issue 86296), and a job would miss its cancel.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except _UNAVAILABLE as error:  # an OSError is what the time-out raises, too
        raise StoreUnavailable(f"Redis is not available: {type(error).__name__}") from error
    except ResponseError as error:
        passing = _PASSING.search(str(error))
        if passing is None:
            raise
        raise StoreUnavailable(f"Redis is not available: {passing[1]}") from error


def connect(url: str) -> Redis:
    """A client with text answers, whose commands belong into `reachable`.

    `url` is redis://, rediss://, unix:// or redis+sentinel://[user:password@]host:port,host:port/service[/db].
    Nothing is sent before the first command.
    """
    timeouts: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "health_check_interval": 15,
        "decode_responses": True,
    }
    if url.startswith("redis+sentinel://"):
        return cast(
            Redis, behind_sentinel(url, max_connections=_MOST_CONNECTIONS, wait_seconds=CONNECT_SECONDS, **timeouts)
        )
    # The blocking pool connects outside of its lock: a Redis that hangs then costs all who wait the same seconds,
    # and not each of them one time-out after the other.
    pool = redis_asyncio.BlockingConnectionPool.from_url(
        url, max_connections=_MOST_CONNECTIONS, timeout=CONNECT_SECONDS, **timeouts
    )
    return cast(Redis, Client(connection_pool=pool))


async def close(redis: Redis) -> None:
    """Closes the connections; one that Redis does not let go of is left to the system."""
    with suppress(StoreUnavailable):
        async with reachable():
            await redis.aclose(close_connection_pool=True)


async def ping(redis: Redis) -> None:
    """Raises StoreUnavailable."""
    async with reachable():
        await redis.ping()


async def until_reachable(operation: Callable[[], Awaitable[T]]) -> T:
    """Repeats an operation that may be repeated until it finds Redis there, however long that takes."""
    for failures in itertools.count(1):
        try:
            result = await operation()
            _outage.over()
            return result
        except StoreUnavailable as error:
            _outage.seen(str(error))
            await asyncio.sleep(backoff.full_jitter(failures, base=0.1, cap=2))
    raise AssertionError("unreachable")


class _Outage:
    """Says once, not once for each of a thousand operations, that Redis is waited for."""

    def __init__(self) -> None:
        self._said = False

    def seen(self, reason: str) -> None:
        if not self._said:
            logger.warning("waiting_for_redis", reason=reason)
        self._said = True

    def over(self) -> None:
        if self._said:
            logger.info("redis_is_back")
        self._said = False


_outage = _Outage()
