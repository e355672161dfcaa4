"""Questions to persons: asked by workers, listed and decided by the api. All methods raise StoreUnavailable.

What the scripts promise stands in their headers (`shared/lua/job_await_action.lua`, `job_decide.lua`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared import keys
from shared.action import Action, Answer, Asked, Decision, DecisionRecord
from shared.errors import LeaseLost
from shared.events import LONGEST_INPUT
from shared.job import Job
from shared.journal import to_json
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.states import Status


class Taken(StrEnum):
    """What became of a decision."""

    TAKEN = "taken"
    CLOSED = "closed"
    """There is no more to decide: somebody has, or nobody did in time, or the job has ended."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Inbox:
    """A page of what waits for a person, newest first."""

    actions: list[Action]
    has_more: bool


class Actions:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def ask(self, owner: str, job: Job, questions: Sequence[Asked], *, wait_ms: int, retention_ms: int) -> Status:
        """Parks the job until these are answered, for `wait_ms` at most and not past its deadline; returns the status
        it has now. Raises LeaseLost, also when repeated after a lost answer."""
        answer = await script("job_await_action")(
            self._redis,
            {},
            {
                "id": job.id,
                "owner": owner,
                "claim": job.claims,
                "wait_ms": wait_ms,
                "deadline_ms": job.spec.schedule.deadline_ms or 0,
                "retention_ms": retention_ms,
            },
            [_fields(one) for one in questions],
        )
        if answer == "lost":
            raise LeaseLost(job.id)
        return Status(answer)

    async def find(self, job_id: str, action_id: str, *, tenant: str) -> Action | None:
        """An action of a job of this tenant; None for one there is not, another tenant's included."""
        found = await script("action_read")(self._redis, {}, {"id": job_id, "tenant": tenant, "action": action_id})
        if not found or found[0] is None:
            return None
        question, answer = found
        return Action.stored(json.loads(question), json.loads(answer) if answer else None)

    async def decide(self, asked: Asked, answer: Answer, *, tenant: str) -> Taken:
        """The first decision counts; the job goes on when it was the last that it waits for."""
        record = DecisionRecord.of(asked.turn, asked.tool_call_id, answer)
        return Taken(
            await script("job_decide")(
                self._redis,
                {},
                {
                    "id": asked.job_id,
                    "tenant": tenant,
                    "action": asked.id,
                    "decision": answer.decision,
                    "answer": answer.to_json(),
                    "record": to_json(record),
                },
            )
        )

    async def inbox(self, tenant: str, *, limit: int, after: str | None = None, before: str | None = None) -> Inbox:
        """What waits for a person of this tenant, newest first: what is older than the action `after`, or newer than
        `before`."""
        inbox, limit_and_one = keys.tenant_actions(tenant), limit + 1
        async with reachable():
            if before is None:
                high = f"({after}" if after else "+"
                found = await self._redis.zrevrangebylex(inbox, high, "-", 0, limit_and_one)
            else:
                found = await self._redis.zrangebylex(inbox, f"({before}\xff", "+", 0, limit_and_one)
        page = found[:limit] if before is None else found[:limit][::-1]
        return Inbox(await self._read(page), len(found) > limit)

    async def _read(self, page: Sequence[str]) -> list[Action]:
        """Those of them that are still kept; each is named as the inbox has it."""
        if not page:
            return []
        async with reachable(), self._redis.pipeline(transaction=False) as pipe:
            for entry in page:
                action_id, _, job_id = entry.partition(" ")
                pipe.hget(keys.actions(job_id), action_id)
            return [Action.stored(json.loads(question)) for question in await pipe.execute() if question]


def _fields(asked: Asked) -> dict[str, str]:
    """What `job_await_action.lua` takes for each question."""
    known = len(json.dumps(asked.input)) <= LONGEST_INPUT
    return {
        "action": asked.id,
        "asked": asked.to_json(),
        "lapsed": to_json(DecisionRecord(asked.turn, asked.tool_call_id, Decision.EXPIRED)),
        "told": json.dumps(asked.brief() | {"input": asked.input if known else None}),
        "brief": json.dumps(asked.brief()),
    }
