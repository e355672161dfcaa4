"""What operators and their machines ask: agents, health, readiness, metrics, an orderly end."""

import asyncio
import re
import signal

import httpx2

from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, announce, client, job_of, problem, tracebacks, waiting
from tests.forked import ForkedService
from tests.waiting import until


async def test_the_agents_are_listed_as_the_workers_announced_them(http: httpx2.AsyncClient) -> None:
    body = (await http.get("/v1/agents")).json()
    assert body["object"] == "list"
    assert [agent["name"] for agent in body["data"]] == ["assistant", "frugal"]
    assert body["data"][0] == {
        "name": "assistant",
        "version": "1",
        "kind": "declared",
        "description": "Answers.",
        "model": "default",
        "input_schema": {},
        "tools": [
            {
                "name": "clock",
                "description": "The time.",
                "input_schema": {},
                "effect": None,
                "approval": None,
                "timeout_seconds": None,
            }
        ],
        "budget": {"max_turns": 20, "max_tokens": None, "max_cost_usd": None, "max_seconds": 3600},
    }


async def test_an_agent_announced_later_is_found(http: httpx2.AsyncClient, redis: Redis) -> None:
    await redis.hdel("sluice:agents", "frugal")
    assert [agent["name"] for agent in (await http.get("/v1/agents")).json()["data"]] == ["assistant"]
    await announce(redis)

    async def taken() -> bool:
        return (await http.post("/v1/jobs", json=WORK | {"agent": "frugal"})).status_code == 202

    await until(taken, seconds=5)


async def test_the_process_is_alive(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": {}})


async def test_it_is_ready_while_redis_answers(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": {"redis": "ok"}})


async def metric(http: httpx2.AsyncClient, sample: str) -> float:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = re.search(rf"^{re.escape(sample)} (\S+)$", answer.text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_the_metrics_tell_the_queue_of_the_whole_service(http: httpx2.AsyncClient, worker: StandIn) -> None:
    for _ in range(5):
        await worker.add()
    await worker.run()
    await worker.take()
    assert await metric(http, "sluice_queue_waiting_jobs") == 3
    assert await metric(http, "sluice_queue_running_jobs") == 1
    await worker.paced(slots=12, busy_seconds=4)
    assert await metric(http, "sluice_queue_slots") == 12
    assert await metric(http, "sluice_queue_drain_rate") == 3


async def test_the_metrics_count_submits_and_requests(http: httpx2.AsyncClient) -> None:
    accepted = 'sluice_submits_total{agent="assistant",outcome="accepted"}'
    answered = 'sluice_http_request_duration_seconds_count{method="POST",route="/v1/jobs",status="202"}'
    before = [await metric(http, sample) for sample in (accepted, answered)]
    await http.post("/v1/jobs", json=WORK)
    assert [await metric(http, sample) for sample in (accepted, answered)] == [count + 1 for count in before]


async def test_addresses_of_jobs_make_no_metrics_of_their_own(http: httpx2.AsyncClient) -> None:
    job_id = (await http.post("/v1/jobs", json=WORK)).json()["id"]
    await http.get(f"/v1/jobs/{job_id}")
    await http.get("/no/such/place")
    text = (await http.get("/metrics")).text
    assert 'route="/v1/jobs/{job_id}"' in text
    assert job_id not in text
    assert "such" not in text


async def test_a_service_without_any_worker_yet_asks_to_come_back(redis: Redis, redis_server: RedisServer) -> None:
    with ForkedService("api", {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0"}) as api:
        async with client(api.url) as http:
            assert (await http.get("/v1/agents")).json() == {"object": "list", "data": []}
            answer = await http.post("/v1/jobs", json=WORK)
            problem(answer, 503, "no_worker_yet")
            assert int(answer.headers["retry-after"]) >= 1
            await announce(redis)

            async def taken() -> bool:
                return (await http.post("/v1/jobs", json=WORK)).status_code == 202

            await until(taken, seconds=5)


async def test_whoever_waits_is_answered_when_the_process_ends(redis: Redis, redis_server: RedisServer) -> None:
    with ForkedService("api", {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0"}) as api:
        async with client(api.url) as http:
            await announce(redis)
            job_id = (await http.post("/v1/jobs", json=WORK)).json()["id"]
            headers = {"If-None-Match": 'W/"1"'}
            poll = asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=50", headers=headers))
            submit = asyncio.create_task(http.post("/v1/jobs", json=WORK, headers={"Prefer": "wait=50"}))

            async def both_are_in() -> bool:
                return await waiting(redis) == 2

            await until(both_are_in)
            api.signal(signal.SIGTERM)
            assert (await poll).status_code == 304
            assert job_of(await submit, 202)["status"] == "queued"
            assert (await asyncio.to_thread(api.wait, 10)) == 0
    assert not tracebacks(api.log)
