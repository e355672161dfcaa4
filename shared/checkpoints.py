"""The checkpoints of running jobs: their journals, written record by record under the lease."""

import json

from shared import keys
from shared.errors import LeaseLost
from shared.journal import from_json, to_json
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.turn import BrokenRecord, ModelRecord, Record, ResultRecord
from shared.usage import Usage


class Checkpoints:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def load(self, job_id: str) -> list[Record]:
        """The journal so far, oldest first."""
        async with reachable():
            lines: list[str] = await self._redis.lrange(keys.turns(job_id), 0, -1)
        return [from_json(line) for line in lines]

    async def append(
        self, owner: str, job_id: str, index: int, record: Record, told: str = "[]", *, reserved_nano: int = 0
    ) -> bool:
        """Writes record number `index`, what it cost, and the events that tell of it (JSON, see `job_telling.lua`).

        `reserved_nano` is what stays set aside, in nano-dollars, for the job's calls in flight (`shared.day_budget`).
        Returns whether something was said to the job that waits to be heard (`shared.mailbox`). Raises LeaseLost; safe
        to repeat.
        """
        answer = await script("job_checkpoint")(
            self._redis,
            {},
            {
                "id": job_id,
                "owner": owner,
                "index": index,
                "record": to_json(record),
                "counters": json.dumps(_cost(record).as_counters()),
                "served": record.model if isinstance(record, ModelRecord) else "",
                "served_as": record.served_as if isinstance(record, ModelRecord) else "",
                "said": record.text if isinstance(record, ModelRecord) else "",
                "reserved": reserved_nano,
                "told": told,
            },
        )
        if answer == "lost":
            raise LeaseLost(job_id)
        return bool(answer == "mail")


def _cost(record: Record) -> Usage:
    """A call's record carries its own cost; a tool's receipt counts as one tool call."""
    if isinstance(record, ModelRecord | BrokenRecord):
        return record.usage
    return Usage(tool_calls=1) if isinstance(record, ResultRecord) else Usage()
