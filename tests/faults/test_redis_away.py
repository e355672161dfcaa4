"""Redis away, frozen or unreachable: running work goes on and is written after; nothing accepted is lost."""

import signal
from pathlib import Path
from typing import Any

import pytest

from local.link import Link
from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock
from shared.redis_client import Redis
from tests.faults.test_worker_killed import in_turn
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack
from tests.waiting import until

ALWAYS = {"appendfsync": "always"}
"""With this not even a killed Redis loses what it has answered."""


def submit(running: Stack, key: str) -> Any:
    """The answer to one submit, whatever it is; the same key is the same job."""
    body = {"agent": "assistant", "input": f"submitted with {key}"}
    return running.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})


def jobs_of(running: Stack, key: str) -> list[dict[str, Any]]:
    """All jobs there are that a submit with this key has made."""
    listed = running.http.get("/v1/jobs", params={"limit": 100}).json()["data"]
    return [job for job in listed if job["input"] == f"submitted with {key}"]


def assert_unavailable(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["code"] == "store_unavailable"
    assert int(answer.headers["retry-after"]) > 0


def assert_api_waits(running: Stack) -> None:
    """It lives, is not ready, and sends submits away with a promise to be back."""
    assert_unavailable(submit(running, "while-it-is-away"))
    assert running.http.get("/readyz").status_code == 503
    assert running.http.get("/healthz").status_code == 200


def finished_once(running: Stack, provider: ProviderProcess, job_id: str, prompt: str, turns: int) -> None:
    job = running.finished(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job
    calls = conversation(provider.calls(), prompt)
    assert [call["completed"] for call in calls] == [True] * turns, "no turn was bought twice"


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_restart_of_redis_costs_no_job_and_no_turn(provider: ProviderProcess, tmp_path: Path, end: str) -> None:
    with (
        RedisServer(data_folder=tmp_path, options=ALWAYS) as server,
        stack(server.url, provider.url, workers=1, SLUICE_QUEUE__LEASE_SECONDS="2") as running,
    ):
        prompt = scripted(turns=4, tool="clock", latency=0.4)
        job_id = running.submit("researcher", prompt)
        waiting = [running.submit("assistant", f"waiting {n}") for n in range(5)]
        await in_turn(provider, prompt, 2)

        if end == "stopped":
            server.stop()
        else:
            server.kill()
        assert_api_waits(running)
        server.start()

        finished_once(running, provider, job_id, prompt, turns=4)
        assert {running.finished(one)["status"] for one in waiting} == {"succeeded"}
        assert submit(running, "while-it-is-away").status_code == 202
        assert running.workers[0].is_running


@pytest.mark.parametrize("away_seconds", [2, 4, 7])
async def test_an_outage_of_any_length_is_no_death_of_anybody(
    provider: ProviderProcess, tmp_path: Path, away_seconds: float
) -> None:
    """All workers are silent then, and nobody listens to anybody: the first one back must not bury the others."""
    with (
        RedisServer(data_folder=tmp_path, options=ALWAYS) as server,
        stack(server.url, provider.url, workers=2, SLUICE_WORKER__MAX_IN_FLIGHT="3") as running,
    ):
        prompts = [scripted(turns=2, tool="clock", latency=2) for _ in range(6)]
        jobs = {running.submit("researcher", prompt): prompt for prompt in prompts}
        for prompt in prompts:
            await in_turn(provider, prompt, 1)

        server.kill()
        killed = clock.monotonic()
        await until(lambda: clock.monotonic() - killed > away_seconds)
        server.start()

        for job_id, prompt in jobs.items():
            finished_once(running, provider, job_id, prompt, turns=2)


async def test_a_frozen_redis_costs_no_job_and_no_turn(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with stack(redis_server.url, provider.url, workers=2, SLUICE_QUEUE__LEASE_SECONDS="5") as running:
        prompt = scripted(turns=4, tool="clock", latency=0.4)
        job_id = running.submit("researcher", prompt)
        await in_turn(provider, prompt, 2)

        redis_server.pause()
        frozen = clock.monotonic()
        try:
            while clock.monotonic() - frozen < 6:
                assert_api_waits(running)
        finally:
            redis_server.resume()

        finished_once(running, provider, job_id, prompt, turns=4)
        answer = submit(running, "while-it-is-away")  # carried out by a Redis that woke up too late to answer?
        assert answer.status_code == 202, answer.text
        assert [job["id"] for job in jobs_of(running, "while-it-is-away")] == [answer.json()["id"]]
        assert running.finished(answer.json()["id"])["status"] == "succeeded"
        assert all(worker.is_running for worker in running.workers)


async def test_a_submit_whose_answer_is_lost_on_the_way_makes_one_job(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    with Link(redis_server.port) as link, stack(f"redis://127.0.0.1:{link.port}/0", provider.url) as running:
        running.submit("assistant", "the script is known to Redis from now on")
        lost = link.lose_answer(to=b":cut-in-mid-script")

        first = submit(running, "cut-in-mid-script")
        assert lost.is_set()
        if first.status_code != 202:  # it may try again by itself
            assert_unavailable(first)
        second = submit(running, "cut-in-mid-script")

        assert second.status_code == 202, second.text
        assert second.headers["idempotency-replayed"] == "true"
        assert [job["id"] for job in jobs_of(running, "cut-in-mid-script")] == [second.json()["id"]]
        assert running.finished(second.json()["id"])["status"] == "succeeded"


@pytest.mark.parametrize("breach", ["refused", "silent"])
async def test_an_api_cut_off_from_redis_says_so_while_the_workers_go_on(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess, breach: str
) -> None:
    with Link(redis_server.port) as link, Stack(f"redis://127.0.0.1:{link.port}/0", provider.url) as running:
        running.add_worker(REDIS_URL=redis_server.url)
        prompt = scripted(turns=2, tool="clock", latency=0.2)
        job_id = running.submit("researcher", prompt)

        if breach == "refused":
            link.refuse()
        else:
            link.silence()
        assert_api_waits(running)
        await until(lambda: len([call for call in conversation(provider.calls(), prompt) if call["completed"]]) == 2)
        link.accept()
        link.speak()

        finished_once(running, provider, job_id, prompt, turns=2)
        running.workers[0].signal(signal.SIGTERM)
        assert running.workers[0].wait(20) == 0
