"""Work in flight: jobs of a few turns, and what of them the provider and the journal saw."""

import json
from typing import Any

from local.provider_process import ProviderProcess
from shared import keys
from shared.redis_client import Redis
from tests.prompts import conversation, scripted
from tests.stack import Stack


class Load:
    """Jobs of `turns` turns each, handed in as a test goes on."""

    def __init__(self, running: Stack, provider: ProviderProcess, *, turns: int, latency: float) -> None:
        self._running = running
        self._provider = provider
        self._turns = turns
        self._latency = latency
        self.prompts: dict[str, str] = {}
        """By job id."""

    def add(self, jobs: int) -> None:
        for _ in range(jobs):
            prompt = scripted(turns=self._turns, tool="clock", latency=self._latency)
            self.prompts[self._running.submit("researcher", prompt)] = prompt

    def in_flight(self) -> int:
        """Calls that the model is busy with."""
        return int(self._provider.stats()["in_flight"])

    def ended(self, seconds: float = 60) -> list[dict[str, Any]]:
        """All jobs, once they have ended."""
        return [self._running.finished(job_id, seconds) for job_id in self.prompts]

    async def assert_nothing_was_repeated(self, redis: Redis) -> None:
        """Every call was answered whole, and every answer is a turn in the journal."""
        calls = self._provider.calls()
        for job_id, prompt in self.prompts.items():
            journal = [json.loads(line) for line in await redis.lrange(keys.turns(job_id), 0, -1)]
            turns = [record["turn"] for record in journal if record["kind"] == "model"]
            assert turns == list(range(1, self._turns + 1)), job_id
            assert [call["completed"] for call in conversation(calls, prompt)] == [True] * self._turns, job_id
