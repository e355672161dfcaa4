"""`/v1/queue` and `/v1/workers`: the whole for whoever administers it, each tenant's own for the tenant."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import clock, keys
from shared.fleet import Fleet
from shared.gate import Gate
from shared.gate_news import begun
from shared.job import Schedule, WaitReason
from shared.pool import Asker, Call, Headroom, Limits, Pool, Reservation, Spent, Used
from shared.queue import Queue
from shared.redis_client import Redis
from tests.api.talk import StandIn, announce, client, tracebacks
from tests.api.tenancy import ACME, ADMIN, GLOBEX, SETTINGS, api_of, bearer
from tests.shared.queueing import claim

NO_REASONS = {reason.value: 0 for reason in WaitReason}


@pytest.fixture(scope="module")
def api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("overview"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def http(api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(api.url) as talking:
        yield talking


async def look(http: httpx2.AsyncClient, what: str, key: str) -> dict[str, Any]:
    answer = await http.get(f"/v1/{what}", headers=bearer(key))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture
async def busy(redis: Redis, worker: StandIn) -> dict[str, str]:
    """Of acme one job runs, two wait, one was parked and one is to come; of globex one waits."""
    await worker.paced(slots=4, busy_seconds=10)
    parked, running = await worker.add(tenant="acme"), await worker.add(tenant="acme")
    await worker.take(2)
    queue = Queue(redis, retention_ms=3_600_000)
    await queue.release(
        "stand-in", parked, WaitReason.PROVIDER_OUTAGE, delay_ms=60_000, pool="sonnet", behind_ms=90_000
    )
    for tenant in ("acme", "acme", "globex"):
        await worker.add(tenant=tenant)
    later = await worker.add(tenant="acme", schedule=Schedule(delay_ms=60_000))
    return {"parked": parked, "running": running, "later": later}


async def test_an_administrator_sees_the_queue_of_all(http: httpx2.AsyncClient, busy: dict[str, str]) -> None:
    seen = await look(http, "queue", ADMIN)

    tenants = {one["tenant"]: one for one in seen.pop("tenants")}
    assert 0 <= seen.pop("oldest_waiting_seconds") < 60
    ends_at = clock.from_rfc3339(seen.pop("day_ends_at"))
    assert ends_at % clock.DAY_MS == 0
    reasons = NO_REASONS | {"capacity": 3, "provider_outage": 1, "scheduled": 1}
    assert seen == {
        "object": "queue",
        "depth": 5,
        "max_depth": 10_000,
        "wait_reasons": reasons,
        "parked": 2,
        "running": 1,
        "requires_action": 0,
        "slots": 4,
        "drain_rate_per_second": 0.4,
        "expected_wait_seconds": 2.5,
    }
    assert list(tenants) == ["acme", "globex", "operators"]
    assert 0 <= tenants["acme"].pop("oldest_waiting_seconds") < 60
    assert tenants["acme"] == {
        "tenant": "acme",
        "weight": 1,
        "waiting": 4,
        "max_waiting": 5000,
        "wait_reasons": reasons | {"capacity": 2},
        "running": 1,
        "max_running": None,
        "requires_action": 0,
        "submits_per_minute": None,
        "spent_today_usd": "0.000000",
        "daily_cost_usd": None,
    }
    assert (tenants["globex"]["waiting"], tenants["globex"]["weight"]) == (1, 2)
    assert tenants["globex"]["daily_cost_usd"] == "50.000000"
    assert tenants["operators"]["oldest_waiting_seconds"] is None


async def test_a_tenant_sees_the_sum_of_all_and_itself(http: httpx2.AsyncClient, busy: dict[str, str]) -> None:
    seen = await look(http, "queue", GLOBEX)
    assert seen["depth"] == 5
    assert [one["tenant"] for one in seen["tenants"]] == ["globex"]
    assert seen["tenants"][0]["wait_reasons"] == NO_REASONS | {"capacity": 1}


async def test_a_reason_to_wait_ends_with_the_wait(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn, busy: dict[str, str]
) -> None:
    queue = Queue(redis, retention_ms=3_600_000)
    await queue.wake("sonnet", 5)
    assert (await look(http, "queue", ADMIN))["parked"] == 1
    taken = {job.id for job in await worker.take(10)}
    assert busy["parked"] in taken
    assert (await look(http, "queue", ADMIN))["wait_reasons"] == NO_REASONS | {"scheduled": 1}
    await queue.cancel(busy["later"])
    seen = await look(http, "queue", ADMIN)
    assert (seen["depth"], seen["wait_reasons"], seen["running"]) == (0, NO_REASONS, 5)
    assert not await redis.exists(keys.WAITS)


async def test_how_long_the_oldest_has_waited(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
    job_id = await worker.add(tenant="acme")
    await redis.hincrby(keys.job(job_id), "created_ms", -90_000)
    await worker.add(tenant="globex")
    assert (await look(http, "queue", ADMIN))["oldest_waiting_seconds"] == pytest.approx(90, abs=5)
    (own,) = (await look(http, "queue", GLOBEX))["tenants"]
    assert own["oldest_waiting_seconds"] < 60


@pytest.fixture
async def fleet(redis: Redis) -> list[Fleet]:
    workers = [Fleet(redis, name, lease_ms=10_000, retention_ms=60_000) for name in ("one", "two")]
    for slots, worker in enumerate(workers, 4):
        await worker.enlist(slots)
    return workers


async def test_an_administrator_sees_what_every_worker_runs(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn, fleet: list[Fleet]
) -> None:
    queue = Queue(redis, retention_ms=60_000)
    acmes, globexs = await worker.add(tenant="acme"), await worker.add(tenant="globex")
    for _ in range(2):
        await claim(queue, "one", 1)
    await queue.cancel(globexs)
    await fleet[0].take_watch()

    seen = await look(http, "workers", ADMIN)

    assert (seen["object"], seen["jobs_left_out"]) == ("list", False)
    one, two = seen["data"]
    assert 0 <= one.pop("last_sign_of_life_seconds") < 15
    jobs = {job.pop("id"): job for job in one.pop("jobs")}
    assert one == {"id": "one", "state": "alive", "has_watch": True, "slots": 4, "running": 2}
    assert all(clock.from_rfc3339(job.pop("since")) for job in jobs.values())
    assert jobs == {
        acmes: {"tenant": "acme", "status": "running"},
        globexs: {"tenant": "globex", "status": "cancelling"},
    }
    assert (two["id"], two["has_watch"], two["slots"], two["jobs"]) == ("two", False, 5, [])

    seen = await look(http, "workers", ACME)
    assert [[job["id"] for job in each["jobs"]] for each in seen["data"]] == [[acmes], []]
    assert seen["data"][0]["running"] == 2


async def test_a_silent_worker_is_shown_while_it_holds_jobs(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn, fleet: list[Fleet]
) -> None:
    for name in ("one", "two"):
        await redis.pexpire(keys.ALIVE + name, clock.DAY_MS - 20_000)
    await worker.add()
    await claim(Queue(redis, retention_ms=60_000), "one", 1)
    await redis.pexpire(keys.ALIVE + "one", clock.DAY_MS - 20_000)

    (only,) = (await look(http, "workers", ADMIN))["data"]

    assert (only["id"], only["state"], only["running"]) == ("one", "silent", 1)
    assert only["last_sign_of_life_seconds"] == pytest.approx(20, abs=5)


async def test_a_worker_that_left_is_gone(http: httpx2.AsyncClient, fleet: list[Fleet]) -> None:
    await fleet[0].leave()
    assert [each["id"] for each in (await look(http, "workers", ADMIN))["data"]] == ["two"]


async def test_limits_show_whose_calls_wait(http: httpx2.AsyncClient, redis: Redis) -> None:
    pool = Pool("claude-sonnet-4-6", Limits(requests=50, input=30_000, output=8_000, in_flight=64))
    gate = Gate(redis, "worker")
    calls = {
        f"call_{n}": Call(Asker("a", name), characters=300, max_output_tokens=100)
        for n, name in enumerate(("acme", "globex", "globex"))
    }
    passed = await gate.reserve(pool, calls["call_0"])
    await gate.commands.tell(pool, begun("", Headroom({"requests": 6}, {"requests": 0})))
    for call_id, call in calls.items():
        await gate.commands.enter(call_id, pool, call, "")

    shown = [(await look(http, "limits", key))["data"][0]["waiting"]["by_tenant"] for key in (ADMIN, ACME, GLOBEX)]

    assert shown == [{"acme": 1, "globex": 2, "operators": 0}, {"acme": 1}, {"globex": 2}]
    for call_id, call in calls.items():
        await gate.settle(Reservation(call_id, pool, call, 0, 0, ""), Spent(used=Used()))
    await gate.settle(passed, Spent(used=Used()))


async def test_a_look_costs_the_same_few_commands_however_much_waits(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn
) -> None:
    async def cost() -> int:
        await look(http, "queue", ADMIN)
        await redis.config_resetstat()
        await look(http, "queue", ADMIN)
        return sum(seen["calls"] for seen in (await redis.info("commandstats")).values())

    for _ in range(20):
        await worker.add(tenant="acme")
    few = await cost()
    for _ in range(400):
        await worker.add(tenant="acme")
    assert await cost() == few
