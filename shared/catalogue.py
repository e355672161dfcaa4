"""The catalogue of agents: what the workers can run, told to the api through Redis."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shared import keys
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.stored import build

FORGET_SECONDS = 3_600
"""An agent that nobody has announced for so long is gone, once somebody announces another; a deploy is shorter."""
ANNOUNCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """One agent as callers see it. `budget` holds the agent's own limits, by the names of `shared.job.Budget`.

    `tools` are as the Messages API takes them, with `effect`, `approval` and `timeout_seconds`. `input_schema` says
    what a job's `input` may be; where that is a text that holds JSON, its `contentSchema` says what the text may hold.
    """

    name: str
    version: str
    description: str
    chain: str
    tools: list[dict[str, Any]]
    budget: dict[str, Any]
    kind: str = "declared"
    input_schema: dict[str, Any] = field(default_factory=dict)


class Catalogue:
    """All methods raise StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def announce(self, entries: Sequence[AgentEntry]) -> None:
        """Says that this process runs these agents; to be repeated every ANNOUNCE_SECONDS."""
        await script("agents_announce")(
            self._redis,
            {"agents": keys.AGENTS},
            {
                "entries": json.dumps({entry.name: json.dumps(asdict(entry)) for entry in entries}),
                "forget_ms": FORGET_SECONDS * 1000,
            },
        )

    async def read(self) -> dict[str, AgentEntry]:
        """The agents by name: all that were announced lately, or that were when the last worker stopped."""
        async with reachable():
            entries: dict[str, str] = await self._redis.hgetall(keys.AGENTS)
        return {name: build(AgentEntry, json.loads(text)["entry"]) for name, text in sorted(entries.items())}
