"""errands: a custom agent for tests. Its steps leave marks (tests/agents/chores.py): what really happened is counted.

Its input is a list of what to do, one after the other; each entry is one of
    {"ask": "…"}              a model call with this prompt
    {"step": "name", …}       a step; "effect", "seconds" how long it takes after its mark, "sync", "verify" that its
                              marks say what became of it
    {"together": [entry, …]}  these beside each other
"""

import asyncio
import time
from typing import Any

from pydantic import BaseModel

from tests.agents.chores import place, times
from worker.agents import Budget, Context, agent


class Errands(BaseModel):
    todo: list[dict[str, Any]]
    stubborn: bool = False


@agent(name="errands", budget=Budget(max_turns=6))
async def errands(context: Context, given: Errands) -> list[Any]:
    """Does what it is told, one thing after the other."""
    return [await _do(context, entry, given.stubborn) for entry in given.todo]


async def _do(context: Context, entry: dict[str, Any], stubborn: bool) -> Any:
    if "together" in entry:
        return await asyncio.gather(*[_do(context, one, stubborn) for one in entry["together"]])
    if "ask" in entry:
        try:
            answer = await context.call_model(
                [{"role": "user", "content": entry["ask"]}], name=entry.get("name", "model")
            )
            return answer.text
        except Exception:
            if stubborn:
                return "swallowed"
            raise
    key, effect = context.idempotency_key(entry["step"]), entry.get("effect", "idempotent")
    if entry.get("sync"):
        return await context.step(entry["step"], _sync, entry["seconds"], effect=effect)
    verify = _seen if entry.get("verify") else None
    work = (entry["step"], key, entry.get("seconds", 0))
    return await context.step(entry["step"], _mark, *work, effect=effect, verify=verify)


async def _mark(name: str, key: str, seconds: float) -> str:
    await place().hincrby(times("errands"), key, 1)
    await asyncio.sleep(seconds)
    return f"{name} is done"


async def _seen(idempotency_key: str) -> str | bool:
    return "seen" if await place().hexists(times("errands"), idempotency_key) else False


def _sync(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"
