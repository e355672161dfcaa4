"""A failover: the replica takes the master's place, and api and worker go on there without a restart."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.provider_process import ProviderProcess
from shared import clock
from tests.faults.sentinels import WatchedRedis
from tests.faults.test_worker_killed import in_turn
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until

_FAILOVER_SECONDS = 60


@pytest.fixture
async def watched() -> AsyncIterator[WatchedRedis]:
    with WatchedRedis() as redis:
        await redis.ready()
        yield redis


def submit_until_accepted(running: Stack, key: str) -> tuple[dict[str, Any], list[Any]]:
    """The job that a patient client gets, and the refusals before."""
    body = {"agent": "assistant", "input": f"submitted with {key}"}
    refusals = []
    deadline = clock.monotonic() + _FAILOVER_SECONDS
    while clock.monotonic() < deadline:
        answer = running.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 202:
            return answer.json(), refusals
        refusals.append(answer)
    raise AssertionError(f"not accepted within {_FAILOVER_SECONDS} s: {refusals[-1].text}")


def assert_honest(refusals: list[Any]) -> None:
    for answer in refusals:
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["code"] == "store_unavailable"
        assert int(answer.headers["retry-after"]) > 0


def listed(running: Stack, prompt: str) -> list[dict[str, Any]]:
    return [job for job in running.http.get("/v1/jobs", params={"limit": 100}).json()["data"] if job["input"] == prompt]


async def test_a_killed_master_costs_no_job_and_no_turn(watched: WatchedRedis, provider: ProviderProcess) -> None:
    with stack(watched.url, provider.url, workers=1) as running:
        prompt = scripted(turns=4, tool="clock", latency=1)
        job_id = running.submit("researcher", prompt)
        await in_turn(provider, prompt, 2)
        watched.replicated()

        watched.master.kill()
        started = clock.monotonic()
        job, refusals = submit_until_accepted(running, "during-the-failover")
        print(f"accepted again {clock.monotonic() - started:.1f} s after the master was killed")

        assert refusals, "there was no master for a while"
        assert_honest(refusals)
        again, _ = submit_until_accepted(running, "during-the-failover")
        assert again["id"] == job["id"]
        assert len(listed(running, job["input"])) == 1
        assert running.finished(job["id"])["status"] == "succeeded"
        ended = running.finished(job_id)
        assert (ended["status"], ended["attempt"]) == ("succeeded", 1), ended
        calls = conversation(provider.calls(), prompt)
        assert [call["completed"] for call in calls] == [True] * 4, "no turn was bought twice"
        assert running.api.is_running
        assert running.workers[0].is_running
        assert running.http.get("/readyz").status_code == 200


async def test_a_frozen_master_that_comes_back_is_not_believed(
    watched: WatchedRedis, provider: ProviderProcess
) -> None:
    with stack(watched.url, provider.url, workers=1) as running:
        prompt = scripted(turns=3, tool="clock", latency=1)
        job_id = running.submit("researcher", prompt)
        await in_turn(provider, prompt, 2)
        watched.replicated()

        watched.master.pause()
        job, refusals = submit_until_accepted(running, "while-it-is-frozen")
        assert_honest(refusals)
        await until(lambda: watched.all_agree_on(watched.replica))
        watched.master.resume()

        later = [submit_until_accepted(running, f"after-it-is-back-{number}")[0] for number in range(20)]
        for one in (job_id, job["id"], *(late["id"] for late in later)):
            assert running.finished(one)["status"] == "succeeded"
        for late in later:
            assert len(listed(running, late["input"])) == 1
        calls = conversation(provider.calls(), prompt)
        assert [call["completed"] for call in calls] == [True] * 3, "no turn was bought twice"
