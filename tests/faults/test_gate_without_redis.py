"""Redis away while workers are at the provider's limit: calls go on, slower, and none is refused or bought twice."""

from pathlib import Path

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock
from tests.faults.test_redis_away import ALWAYS
from tests.prompts import conversation, scripted
from tests.stack import stack
from tests.waiting import until

PER_MINUTE = 300
JOBS = 30
"""Of one turn, and as many of two."""
NOTICED_SECONDS = {"killed": 2.0, "frozen": 7.0}
"""A frozen one costs a time-out."""


@pytest.mark.parametrize("end", ["killed", "frozen"])
async def test_calls_go_on_by_half_of_the_limit_and_none_is_bought_twice(tmp_path: Path, end: str) -> None:
    limits = ("--requests-per-minute", str(PER_MINUTE), "--burst", "0.12")
    settings = {
        "SLUICE_TARGETS__DEFAULT__REQUESTS_PER_MINUTE": str(PER_MINUTE),
        "SLUICE_WORKER__MAX_IN_FLIGHT": "50",
    }
    with (
        RedisServer(data_folder=tmp_path, options=ALWAYS) as server,
        ProviderProcess("--latency", "0.3", "--tokens-per-second", "2000", *limits) as provider,
        stack(server.url, provider.url, workers=2, **settings) as running,
    ):
        turns = {scripted(turns=count, tool="clock", output_tokens=20): count for _ in range(JOBS) for count in (1, 2)}
        jobs = [running.submit("researcher", prompt) for prompt in turns]
        # The gate's first burst is over, and the workers, who wait there, have been counted.
        await until(lambda: provider.stats()["completed"] >= 0.1 * PER_MINUTE + 15)

        if end == "killed":
            server.kill()
        else:
            server.pause()
        away = clock.monotonic() - provider.stats()["started_at"]
        dark = away + NOTICED_SECONDS[end], away + NOTICED_SECONDS[end] + 4
        try:
            await until(lambda: clock.monotonic() - provider.stats()["started_at"] > dark[1])
        finally:
            if end == "killed":
                server.start()
            else:
                server.resume()

        ends = {running.finished(job_id, seconds=60)["status"] for job_id in jobs}

        assert ends == {"succeeded"}
        stats, calls = provider.stats(), provider.calls()
        assert sum(stats["refused"].values()) == 0, stats
        meanwhile = [call for call in calls if dark[0] < call["started"] < dark[1]]
        assert 2 <= len(meanwhile) <= (PER_MINUTE / 60 / 2) * (dark[1] - away), "by half of the limit, from nothing"
        for prompt, count in turns.items():
            assert [call["completed"] for call in conversation(calls, prompt)] == [True] * count
