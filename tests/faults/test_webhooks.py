"""Webhooks through real processes: nothing that ends goes untold, whoever is killed."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import keys
from shared.redis_client import Redis
from tests.api.talk import tracebacks
from tests.stack import Stack
from tests.waiting import until
from tests.worker.webhooks.certificates import certificate
from tests.worker.webhooks.listening import answer, hang, listening

OPEN = {"SLUICE_WEBHOOKS__ALLOW_HTTP": "true", "SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS": "true"}
QUICK_LEASE = {"SLUICE_QUEUE__LEASE_SECONDS": "1.5"}


@pytest.fixture
def running(redis: Redis, redis_server: RedisServer, provider: ProviderProcess) -> Any:
    with Stack(redis_server.url, provider.url, **OPEN, **QUICK_LEASE) as stack:
        yield stack


def endpoint(stack: Stack, url: str) -> dict[str, Any]:
    made = stack.http.post("/v1/webhook_endpoints", json={"url": url})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


async def end_leases(redis: Any) -> None:
    """What dead couriers hold is due now, and not only in half a minute."""
    for host in await redis.zrange(keys.OUTBOX, 0, -1):
        for one in await redis.zrange(keys.OUTBOX_HOST + host, 0, -1):
            await redis.zadd(keys.OUTBOX_HOST + host, {one: 1}, xx=True)
        await redis.zadd(keys.OUTBOX, {host: 1}, xx=True)


async def in_a_thread(function: Any, *arguments: Any, **options: Any) -> Any:
    """The stack's client blocks, and the receivers of these tests live on this loop."""
    return await asyncio.to_thread(function, *arguments, **options)


async def test_a_result_comes_to_its_receiver_signed(running: Stack, redis: Redis) -> None:
    running.add_worker()
    async with listening() as there:
        made = await in_a_thread(endpoint, running, there.url)
        webhook = {"endpoint_id": made["id"], "events": ["job.started", "job.succeeded"]}
        job_id = await in_a_thread(running.submit, "assistant", "hello", webhook=webhook)
        await until(lambda: len(there.got) == 2)
        job = await in_a_thread(running.finished, job_id)

    bodies = [Verifier(made["secret"]).verify(got.body, got.headers) for got in there.got]
    by_type = {body["type"]: body["data"] for body in bodies}
    assert set(by_type) == {"job.started", "job.succeeded"}
    assert by_type["job.started"]["status"] == "running"
    assert by_type["job.started"]["revision"] < by_type["job.succeeded"]["revision"]
    said = by_type["job.succeeded"]
    assert (said["id"], said["output"], said["usage"]) == (job_id, job["output"], job["usage"])
    assert said["revision"] == job["revision"]


async def test_a_worker_that_is_killed_between_finish_and_delivery_loses_nothing(running: Stack, redis: Redis) -> None:
    """Killed while its courier waits for a receiver that does not answer: the job has ended, nobody was told."""
    worker = running.add_worker()
    async with listening(hang) as there:
        made = await in_a_thread(endpoint, running, there.url)
        job_id = await in_a_thread(running.submit, "assistant", "hello", webhook={"endpoint_id": made["id"]})
        await in_a_thread(running.finished, job_id)
        await until(lambda: len(there.got) == 1)

        worker.signal(signal.SIGKILL)
        there.behave = answer(200)
        await end_leases(redis)
        running.add_worker()

        await until(lambda: len(there.got) == 2)
    first, second = there.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert Verifier(made["secret"]).verify(second.body, second.headers)["data"]["id"] == job_id


async def test_workers_killed_at_random_leave_no_end_untold(running: Stack, redis: Redis) -> None:
    async with listening() as there:
        made = await in_a_thread(endpoint, running, there.url)
        running.add_worker()
        jobs = [
            await in_a_thread(running.submit, "assistant", f"hello {n}", webhook={"endpoint_id": made["id"]})
            for n in range(40)
        ]
        for _ in range(3):
            heard = len(there.got)
            await until(lambda heard=heard: len(there.got) > heard)
            running.workers[-1].signal(signal.SIGKILL)
            await end_leases(redis)
            running.add_worker()
        await until(lambda: {got.json["data"]["id"] for got in there.got} == set(jobs), seconds=90)

    ids = {got.json["data"]["id"]: got.headers["webhook-id"] for got in there.got}
    assert all(got.headers["webhook-id"] == ids[got.json["data"]["id"]] for got in there.got)


async def test_a_receiver_that_is_down_delays_no_other_and_no_job(running: Stack, redis: Redis) -> None:
    running.add_worker(SLUICE_WORKER__DRAIN_SECONDS="0.5")
    async with listening(hang) as dead, listening() as well:
        for _ in range(20):
            await in_a_thread(running.submit, "assistant", "hello", webhook={"url": dead.url})
        await until(lambda: bool(dead.got))
        url = well.url.replace("127.0.0.1", "localhost")
        job_id = await in_a_thread(running.submit, "assistant", "hello", webhook={"url": url})
        job = await in_a_thread(running.finished, job_id, 10)
        await until(lambda: len(well.got) == 1, seconds=10)

    assert job["status"] == "succeeded"
    assert len(dead.got) == 1, "one at a time"


async def test_a_worker_told_to_stop_ends_in_time_whatever_receivers_do(running: Stack, redis: Redis) -> None:
    worker = running.add_worker(SLUICE_WORKER__DRAIN_SECONDS="1")
    async with listening(hang) as there:
        await in_a_thread(running.submit, "assistant", "hello", webhook={"url": there.url})
        await until(lambda: len(there.got) == 1)
        worker.signal(signal.SIGTERM)
        assert await in_a_thread(worker.wait, 10) == 0
        assert not tracebacks(worker.log)
        there.behave = answer(200)
        running.add_worker()
        await until(lambda: len(there.got) == 2, seconds=15)


async def test_over_tls_as_shipped_nothing_inside_is_reached(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess, tmp_path: Path
) -> None:
    """The defaults: https alone, certificates verified, and a name that stands for loopback leads nowhere."""
    made = certificate(tmp_path, "localhost")
    trusting = {"SSL_CERT_FILE": str(made.path)}
    async with listening(tls=made.server) as there:
        url = f"https://localhost:{there.port}/hook"
        private = {"SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS": "true"}
        with Stack(redis_server.url, provider.url, **private) as stack:
            stack.add_worker(**trusting)
            await in_a_thread(stack.submit, "assistant", "hello", webhook={"url": url})
            await until(lambda: len(there.got) == 1)
        with Stack(redis_server.url, provider.url, **private) as stack:
            job_id = await in_a_thread(stack.submit, "assistant", "hello", webhook={"url": url})
            stack.add_worker(**trusting, SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS="false")
            await in_a_thread(stack.finished, job_id)

            def refused() -> bool:
                (one,) = stack.http.get("/v1/webhook_deliveries", params={"job_id": job_id}).json()["data"]
                return bool(one["reason"] == "url_not_allowed")

            await until(lambda: in_a_thread(refused))
    assert len(there.got) == 1
