"""The client with and without an event loop, behind one face: a test that is written once is run on each."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx2

from client.sluice_client import AsyncSluice, Sluice
from tests.api.talk import QUICK_CLIENT


class Both:
    """`kind` is "sync" or "async"; `options` are those of the two classes."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self._http: httpx2.Client | httpx2.AsyncClient
        self.sluice: Sluice | AsyncSluice
        if kind == "sync":
            self._http = httpx2.Client(**QUICK_CLIENT)
            self.sluice = Sluice(url, http=self._http, **options)
        else:
            self._http = httpx2.AsyncClient(**QUICK_CLIENT)
            self.sluice = AsyncSluice(url, http=self._http, **options)

    async def do(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """What the operation returns."""
        method = getattr(self.sluice, operation)
        if isinstance(self.sluice, Sluice):
            return await asyncio.to_thread(method, *args, **kwargs)
        return await method(*args, **kwargs)

    async def all(self, operation: str, *args: Any, most: int | None = None, **kwargs: Any) -> list[Any]:
        """What the operation yields, or the first of it."""
        items = getattr(self.sluice, operation)(*args, **kwargs)
        found: list[Any] = []
        with suppress(StopAsyncIteration):
            while most is None or len(found) < most:
                found.append(await (asyncio.to_thread(_next, items) if hasattr(items, "send") else anext(items)))
        if hasattr(items, "send"):
            items.close()
        else:
            await items.aclose()
        return found

    async def close(self) -> None:
        await self.do("close")
        if isinstance(self._http, httpx2.Client):
            self._http.close()
        else:
            await self._http.aclose()


def _next(items: Any) -> Any:
    """StopIteration cannot leave a thread that a coroutine waits for."""
    try:
        return next(items)
    except StopIteration:
        raise StopAsyncIteration from None
