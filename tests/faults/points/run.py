"""Runs cases against real processes: an api, workers that die, a provider with a ledger, marks that nothing harms."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import redis as redis_sync

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import keys
from tests.agents.deeds import marks
from tests.faults.points.cases import CAREFUL, Case, Sight, said_of
from tests.faults.points.worker import DIE_AT, died, passed
from tests.stack import Stack

WORKER = "tests.faults.points.worker"
_PATIENCE_SECONDS = 120.0
_AT_ONCE = 40
"""Each has a stream open, of the hundred connections that a client makes."""


class Range:
    """Where the shots are fired."""

    def __init__(self, running: Stack, provider: ProviderProcess, store: RedisServer, effects: RedisServer) -> None:
        self._running = running
        self._provider = provider
        self._store = redis_sync.Redis.from_url(store.url, decode_responses=True)
        self._effects = redis_sync.Redis.from_url(effects.url, decode_responses=True)

    def points(self) -> dict[str, list[str]]:
        """Each tool with the points that its job passes, in order, found out by one that nobody kills."""
        found = {}
        for sight in self.shoot(Case.of(tool, "") for tool in CAREFUL):
            names = self._effects.lrange(passed(sight.job_id), 0, -1)
            found[sight.case.tool] = list(dict.fromkeys(map(str, names)))
        return found

    def shoot(self, cases: Iterable[Case]) -> list[Sight]:
        """So many at once; what became of each."""
        with ThreadPoolExecutor(_AT_ONCE) as persons:
            return list(persons.map(self._see_through, cases))

    def _see_through(self, case: Case) -> Sight:
        """Speaks to the job before it begins, follows it, and decides what it asks."""
        job_id = self._running.submit("deeds", case.prompt, metadata={DIE_AT: case.point}, delay_seconds=1)
        self._running.client.send_message(job_id, "Go on.")
        said: list[str] = []
        for event in self._running.client.stream(job_id, timeout=_PATIENCE_SECONDS):
            if event["type"] == "action.requested":
                said += self._decide(case, job_id)
        return self._sight(case, self._running.job(job_id), tuple(said))

    def _decide(self, case: Case, job_id: str) -> Iterator[str]:
        for action in self._running.job(job_id)["required_actions"]:
            word = said_of(action, any(mark.startswith(f"{case.tool} ") for mark in self._marks(job_id)))
            self._running.decide(action, word)
            yield word

    def _marks(self, job_id: str) -> list[str]:
        return [str(mark) for mark in self._effects.lrange(marks(job_id), 0, -1)]

    def _calls(self, case: Case) -> list[dict[str, Any]]:
        """Those of the provider's ledger; what was said to the job may stand behind its prompt."""
        return [call for call in self._provider.calls() if call["conversation"].startswith(case.prompt[:200])]

    def _sight(self, case: Case, job: dict[str, object], said: tuple[str, ...]) -> Sight:
        job_id, seen = str(job["id"]), self._marks(str(job["id"]))
        journal = [json.loads(line) for line in self._store.lrange(keys.turns(job_id), 0, -1)]
        return Sight(
            case=case,
            job_id=job_id,
            status=str(job["status"]),
            runs=Counter(mark.split()[0] for mark in seen),
            effects=Counter(mark.split()[0] for mark in set(seen)),
            bought=sum(call["completed"] for call in self._calls(case)),
            said=said,
            died=bool(self._effects.exists(died(job_id))),
            receipts=Counter(one["tool_use_id"] for one in journal if one["kind"] == "result"),
        )


@contextmanager
def shooting_range(workers: int) -> Iterator[Range]:
    """Each worker holds one job at a time, so that it takes no other down with it."""
    with (
        RedisServer() as store,
        RedisServer() as effects,
        ProviderProcess("--latency", "0.01", "--tokens-per-second", "4000") as provider,
        Stack(
            store.url,
            provider.url,
            SLUICE_WORKER__AGENTS='["tests.agents.deeds"]',
            SLUICE_WORKER__MAX_IN_FLIGHT="1",
            SLUICE_QUEUE__LEASE_SECONDS="3",
            SLUICE_TENANTS__DEFAULT__DAILY_COST_USD="1000",
            EFFECTS_URL=effects.url,
            FAULT_POINTS=effects.url,
        ) as running,
    ):
        for _ in range(workers):
            running.add_worker(WORKER)
        yield Range(running, provider, store, effects)
