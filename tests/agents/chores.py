"""chores: an agent whose tools leave a mark in a place of their own, so that what really happened can be counted.

The place is another Redis, named by EFFECTS_URL, that no test harms: the journal says what a job believes, the marks
say what the world has seen.
"""

import asyncio
import os
from functools import cache
from typing import Any

from redis import asyncio as redis_asyncio

from worker.agents import Agent, tool
from worker.tools import ToolContext

_MOMENT = 0.15
"""Seconds between a mark and the tool's end, so that deaths fall in between."""


def times(name: str) -> str:
    """hash, a chore's key -> how often this tool did it"""
    return f"chores:{name}:times"


def callers(name: str, key: str) -> str:
    """set of the idempotency keys under which this tool did the chore"""
    return f"chores:{name}:callers:{key}"


@cache
def place() -> Any:
    return redis_asyncio.Redis.from_url(os.environ["EFFECTS_URL"], decode_responses=True)


async def _mark(name: str, key: str, context: ToolContext) -> None:
    async with place().pipeline(transaction=True) as marks:
        marks.hincrby(times(name), key, 1)
        marks.sadd(callers(name, key), context.idempotency_key)
        await marks.execute()
    await asyncio.sleep(_MOMENT)


@tool(effect="read", timeout=20)
async def look(key: str, context: ToolContext) -> str:
    """Look something up."""
    await _mark("look", key, context)
    return f"{key} is there"


@tool(effect="idempotent", timeout=20)
async def file(key: str, context: ToolContext) -> str:
    """Put something in its place, where it may be already."""
    await _mark("file", key, context)
    return f"{key} is filed"


@tool(effect="irreversible", timeout=20)
async def pay(key: str, context: ToolContext) -> str:
    """Pay for something."""
    await _mark("pay", key, context)
    return f"{key} is paid"


chores = Agent(name="chores", system="You do what tests ask.", tools=[look, file, pay])
