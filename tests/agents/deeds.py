"""deeds: an agent whose tools leave a mark outside for each time they ran, one tool for each way to be careful.

The place of the marks is another Redis, named by EFFECTS_URL: the journal says what a job believes, the marks say what
the world has seen.
"""

import os
from functools import cache
from typing import Any

from redis import asyncio as redis_asyncio

from worker.agents import Agent, tool
from worker.tools import ToolContext


def marks(job_id: str) -> str:
    """list of `TOOL IDEMPOTENCY_KEY`, one for each time that a tool ran for this job"""
    return f"deeds:{job_id}"


@cache
def _place() -> Any:
    return redis_asyncio.Redis.from_url(os.environ["EFFECTS_URL"], decode_responses=True)


async def _mark(name: str, context: ToolContext) -> str:
    await _place().rpush(marks(context.job_id), f"{name} {context.idempotency_key}")
    return f"{name}: done"


async def wired(idempotency_key: str) -> bool:
    """The bank knows."""
    return f"wire {idempotency_key}" in await _place().lrange(marks(idempotency_key.split("/")[0]), 0, -1)


@tool(effect="read", timeout=20)
async def look(context: ToolContext) -> str:
    """Look something up."""
    return await _mark("look", context)


@tool(effect="idempotent", timeout=20)
async def file(context: ToolContext) -> str:
    """Put something in its place, where it may be already."""
    return await _mark("file", context)


@tool(effect="irreversible", timeout=20)
async def pay(context: ToolContext) -> str:
    """Pay in cash."""
    return await _mark("pay", context)


@tool(effect="irreversible", timeout=20, verify=wired)
async def wire(context: ToolContext) -> str:
    """Pay by bank, which can be asked."""
    return await _mark("wire", context)


@tool(effect="irreversible", approval="always", timeout=20)
async def shred(context: ToolContext) -> str:
    """Destroy something, with a person's approval."""
    return await _mark("shred", context)


deeds = Agent(name="deeds", system="You do what tests ask.", tools=[look, file, pay, wire, shred])
