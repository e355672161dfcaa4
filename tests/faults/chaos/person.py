"""The person who is asked whether something has happened, and looks before he says so."""

import asyncio
from typing import Any, Self

from redis import asyncio as redis_asyncio

from shared import clock
from tests.agents.chores import times

_SURE_SECONDS = 10.0
"""Whoever was frozen or cut off in the middle of it has come to himself by then: no fault lasts so long."""
_PAUSE = 0.2


class Person:
    """Looks at the marks of chores. Use as a context manager."""

    def __init__(self, marks_url: str) -> None:
        self._marks: Any = redis_asyncio.Redis.from_url(marks_url, decode_responses=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._marks.aclose()

    async def says(self, action: dict[str, Any]) -> str:
        """`done` as soon as the chore has left its mark, `not_done` when it surely will not any more."""
        deadline = clock.monotonic() + _SURE_SECONDS
        while clock.monotonic() < deadline:
            if await self._marks.hget(times(action["tool"]), action["input"]["key"]):
                return "done"
            await asyncio.sleep(_PAUSE)
        return "not_done"
