"""From a worker that leaves to one that stays: the job goes on at once, not when a lease lapses or a poll comes."""

import itertools
import signal

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.faults.test_worker_killed import in_turn
from tests.prompts import conversation, scripted
from tests.stack import stack

_GENEROUS_SECONDS = 5.0
_TURNS = 10
"""Enough to go on while another worker starts, on a busy machine, too."""


async def test_another_worker_goes_on_as_soon_as_a_drained_one_has_ended_its_turn(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=1) as running:
        prompt = scripted(turns=_TURNS, tool="clock", latency=1)
        job_id = running.submit("researcher", prompt)
        await in_turn(provider, prompt, 1)
        running.add_worker()
        await in_turn(provider, prompt, len(conversation(provider.calls(), prompt)) + 1)

        running.workers[0].signal(signal.SIGTERM)
        assert running.workers[0].wait(20) == 0
        assert running.finished(job_id)["attempt"] == 1

        calls = conversation(provider.calls(), prompt)
        assert [call["completed"] for call in calls] == [True] * _TURNS, "no turn was bought twice"
        pauses = [after["started"] - before["finished"] for before, after in itertools.pairwise(calls)]
        print(f"handed over within {max(pauses):.2f} s")
        assert max(pauses) < _GENEROUS_SECONDS
