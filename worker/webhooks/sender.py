"""One attempt: a POST to a receiver, within 15 seconds, without redirects, proxies, cookies or kept connections.

httpcore2 and not httpx2: below that there is nothing that follows, reads the environment or unpacks what is answered.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore2

from shared import clock
from shared.receiver import Receiver
from worker.webhooks.guard import AddressRefused, GuardedBackend, NameNotFound, Resolve, resolve

ATTEMPT_SECONDS = 15.0
LONGEST_ANSWER = 4096
_ANSWER_SECONDS = 2.0
"""For the body of an answer whose status is known: nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt: a status, or in `error` why there is none. `retry_after` in seconds."""

    status: int | None
    error: str | None
    seconds: float
    retry_after: float | None = None
    text: str = ""

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    def __init__(
        self,
        *,
        allow_private_networks: bool,
        lookup: Resolve = resolve,
        seconds: float = ATTEMPT_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._backend = GuardedBackend(allow_private_networks=allow_private_networks, lookup=lookup)
        self._seconds = seconds
        self._ssl_context = ssl_context or httpcore2.default_ssl_context()

    async def post(self, to: Receiver, headers: Mapping[str, str], content: bytes) -> Answer:
        """Never raises for what a receiver does."""
        began = clock.monotonic()
        try:
            async with asyncio.timeout(self._seconds):
                status, fields, text = await self._exchange(to, headers, content)
        except Exception as error:
            return Answer(None, _what_happened(error), clock.monotonic() - began)
        return Answer(status, None, clock.monotonic() - began, _retry_after(fields), text)

    async def _exchange(
        self, to: Receiver, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, dict[str, str], str]:
        url = httpcore2.URL(scheme=to.scheme.encode(), host=to.host.encode(), port=to.port, target=to.target.encode())
        fields = {"host": to.authority, "connection": "close", **headers}
        # A pool for this attempt alone: what a connection has become belongs to nobody else's attempt.
        async with (
            httpcore2.AsyncConnectionPool(ssl_context=self._ssl_context, network_backend=self._backend) as pool,
            pool.stream("POST", url, headers=list(fields.items()), content=content) as response,
        ):
            answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return response.status, answered, await _beginning(response)


async def _beginning(response: httpcore2.Response) -> str:
    """Of its body; what comes after that is not read, however long it is."""
    read = b""
    with suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            async for chunk in response.aiter_stream():
                read += chunk
                if len(read) >= LONGEST_ANSWER:
                    break
    return read[:LONGEST_ANSWER].decode("utf-8", "replace")


def _what_happened(error: Exception) -> str:
    """A word for the delivery log: enough to mend it, and no more than anybody outside could see."""
    match error:
        case TimeoutError() | httpcore2.TimeoutException():
            return "timeout"
        case AddressRefused():
            return "address_not_allowed"
        case NameNotFound():
            return "name_not_found"
        case httpcore2.ConnectError() if _is_tls(error):
            return "tls_failed"
        case httpcore2.ConnectError():
            return "connection_failed"
        case httpcore2.NetworkError():
            return "connection_lost"
        case httpcore2.RemoteProtocolError() if "disconnected" in str(error):  # before there was a status
            return "connection_lost"
        case _:
            return "bad_answer"


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(fields: Mapping[str, str]) -> float | None:
    """Seconds, as they are said or by the receiver's own clock (RFC 9110 §10.2.3)."""
    said = fields.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        span = parsedate_to_datetime(said) - parsedate_to_datetime(fields["date"])
        return max(0.0, span.total_seconds())
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None
