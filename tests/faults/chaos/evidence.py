"""What there is to see when all has ended, gathered once, so that the promises are judged on plain data."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis as redis_sync

from local.service_process import LogLine
from shared import keys
from shared.redis_client import connect
from tests.agents.chores import callers, times
from tests.faults.chaos.customer import Story
from tests.faults.chaos.fleet import Fleet, Member
from tests.key_leaks import leaked_keys


@dataclass(slots=True)
class Exhibit:
    """All that there is about one errand."""

    story: Story
    calls: list[dict[str, Any]] = field(default_factory=list)
    """Its calls in the provider's ledger."""
    journal: list[dict[str, Any]] = field(default_factory=list)
    arq_result: dict[str, Any] | None = None
    effects: dict[str, int] = field(default_factory=dict)
    """Chore -> how often it was done, as `pay 17.1`."""
    idempotency_keys: dict[str, int] = field(default_factory=dict)
    """Chore -> under how many idempotency keys."""
    hurried: int = 0
    """How often a worker gave it back in the middle of a turn, told to by a second SIGTERM."""

    @property
    def job_id(self) -> str:
        return self.story.job_id

    @property
    def name(self) -> str:
        return f"errand {self.story.errand.number} ({self.job_id or 'never accepted'})"

    @property
    def turns(self) -> list[dict[str, Any]]:
        return [record for record in self.journal if record["kind"] == "model"]

    @property
    def bought(self) -> int:
        """Answers that the provider sent whole."""
        return sum(call["completed"] and call["fault"] is None for call in self.calls)


@dataclass(slots=True)
class Ending:
    """How a process ended, and what it said."""

    name: str
    killed: bool = False
    drained: bool = False
    exit_code: int | None = 0
    log: list[LogLine] = field(default_factory=list)


@dataclass(slots=True)
class Evidence:
    exhibits: list[Exhibit] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    listed: list[dict[str, Any]] = field(default_factory=list)
    """All jobs that the api lists, of all tenants."""
    leaks: list[str] = field(default_factory=list)
    """Keys that will never go away."""


async def gather(fleet: Fleet, stories: Sequence[Story], listed: list[dict[str, Any]]) -> Evidence:
    """Once all workers have gone: what they were to leave behind is there, and nothing moves any more."""
    calls: dict[str, list[dict[str, Any]]] = {}
    for call in fleet.provider.calls():
        calls.setdefault(call["conversation"], []).append(call)
    exhibits = [Exhibit(story, calls.get(story.errand.prompt[:200], [])) for story in stories]
    with (
        redis_sync.Redis.from_url(fleet.redis.url, decode_responses=True) as store,
        redis_sync.Redis.from_url(fleet.marks.url, decode_responses=True) as marks,
    ):
        for exhibit in exhibits:
            _read_store(exhibit, store)
            _read_marks(exhibit, marks)
            exhibit.hurried = sum(_gave_back(member, exhibit.job_id) for member in fleet.members)
    client = connect(fleet.redis.url)
    leaks = await leaked_keys(client)
    await client.aclose(close_connection_pool=True)
    return Evidence(exhibits, [_ending(member) for member in fleet.members], listed, leaks)


def _read_store(exhibit: Exhibit, store: Any) -> None:
    exhibit.journal = [json.loads(line) for line in store.lrange(keys.turns(exhibit.job_id), 0, -1)]
    result = store.get(keys.ARQ_RESULT + exhibit.job_id)
    exhibit.arq_result = json.loads(result) if result else None


def _read_marks(exhibit: Exhibit, marks: Any) -> None:
    errand = exhibit.story.errand
    for tool, chores in (("pay", errand.pays), ("file", errand.files)):
        for chore in chores:
            exhibit.effects[f"{tool} {chore}"] = int(marks.hget(times(tool), chore) or 0)
            exhibit.idempotency_keys[f"{tool} {chore}"] = marks.scard(callers(tool, chore))


def _gave_back(member: Member, job_id: str) -> bool:
    """Whether the worker spoke of the job after it was told to hurry."""
    if member.hurried_at is None:
        return False
    return any(line.get("job") == job_id for line in member.log[member.hurried_at :])


def _ending(member: Member) -> Ending:
    return Ending(member.name, member.killed, member.drained, member.exit_code, member.log)
