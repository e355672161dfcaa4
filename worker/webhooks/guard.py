"""Connecting to receivers: a name is looked up once, every address it stands for is checked, and one of those is what
is connected to. So a name that stands for another address a moment later (DNS rebinding) gains nothing by it.
"""

import socket
from collections.abc import Awaitable, Callable, Iterable

import httpcore2

from shared.receiver import refusal
from worker.threads import in_thread

_MOST_ADDRESSES = 4
_CONNECT_SECONDS = 5.0
"""For one address of several; the attempt as a whole has a time-out of its own."""

Resolve = Callable[[str, int], Awaitable[list[str]]]


class AddressRefused(Exception):
    """The name stands for an address that nothing is sent to."""


class NameNotFound(Exception):
    """The name stands for no address, or nobody could say which."""


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, or the one that it is. In a thread of its own: asyncio's and uvloop's pools are small,
    and a name server that keeps silent would hold up the lookups of others, those of model calls included."""
    try:
        found = await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (socket.gaierror, UnicodeError) as error:
        raise NameNotFound(host) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """What httpcore2 connects with. TLS still goes by the name: for the certificate and for SNI."""

    def __init__(self, *, allow_private_networks: bool, lookup: Resolve = resolve) -> None:
        self._allow_private_networks = allow_private_networks
        self._resolve = lookup
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore2's interface)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises AddressRefused when any of the addresses is not to be connected to, NameNotFound, ConnectError."""
        addresses = await self._resolve(host, port)
        for address in addresses:
            why = None if self._allow_private_networks else refusal(address)
            if why:
                raise AddressRefused(why)
        failure: Exception = NameNotFound(host)
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(address, port, _CONNECT_SECONDS, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure
