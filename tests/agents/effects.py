"""effects: an agent whose tools do what a crash test needs."""

import asyncio
import os
import signal
import time

from shared.redis_client import connect
from worker.agents import Agent, tool


@tool(effect="irreversible", timeout=60)
async def launch(key: str) -> str:
    """Count one launch under a key, then take long to come back."""
    redis = connect(os.environ["REDIS_URL"])
    await redis.incr(key)  # type: ignore[attr-defined]
    await asyncio.sleep(30)
    return "launched"


@tool(effect="read", timeout=60)
async def hog(key: str, seconds: float) -> str:
    """Count one run under a key, then block the event loop: nothing else runs in this process."""
    redis = connect(os.environ["REDIS_URL"])
    await redis.incr(key)  # type: ignore[attr-defined]
    time.sleep(seconds)  # noqa: ASYNC251
    return "let go"


@tool(effect="read")
async def die() -> str:
    """Kill the worker that runs this."""
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@tool(effect="irreversible", approval="always")
async def erase(key: str) -> str:
    """Count one erasure under a key."""
    redis = connect(os.environ["REDIS_URL"])
    await redis.incr(key)  # type: ignore[attr-defined]
    return f"erased {key}"


@tool(effect="irreversible", timeout=0.3)
async def vanish(key: str) -> str:
    """Count one run under a key, and take far too long to say so."""
    redis = connect(os.environ["REDIS_URL"])
    await redis.incr(key)  # type: ignore[attr-defined]
    await asyncio.sleep(30)
    return "late"


@tool(effect="read", timeout=0.2)
async def sleepy() -> str:
    """Take far too long."""
    await asyncio.sleep(30)
    return "late"


@tool(effect="read")
def broken(depth: int) -> str:
    """Fail."""
    raise RuntimeError(f"broken at {depth}")


effects = Agent(
    name="effects", system="You do what tests ask.", tools=[launch, hog, die, erase, vanish, sleepy, broken]
)
