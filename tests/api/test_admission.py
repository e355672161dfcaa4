"""Shedding: what does not fit is refused with a time to come back, and nothing else comes in."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.admission import retry_after
from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import keys
from shared.pace import Pace
from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, announce, client, job_of, keys_like, problem, tracebacks, waiting
from tests.forked import ForkedService

DEPTH = 20


@pytest.fixture(scope="module")
def small_api(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    settings = {
        "REDIS_URL": redis_server.url,
        "SLUICE_API__PORT": "0",
        "SLUICE_QUEUE__MAX_DEPTH": str(DEPTH),
        "SLUICE_QUEUE__MAX_WAIT_SECONDS": "8",
    }
    with ForkedService("api", settings) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def http(small_api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(small_api.url) as talking:
        yield talking


async def fill(worker: StandIn) -> list[str]:
    return [await worker.add() for _ in range(DEPTH)]


async def test_a_full_queue_says_when_to_come_back(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await fill(worker)
    answer = await http.post("/v1/jobs", json=WORK)
    body = problem(answer, 429, "queue_full")
    seconds = int(answer.headers["retry-after"])
    assert 1 <= seconds <= 300
    assert f"{seconds} seconds" in body["detail"]
    assert answer.headers["ratelimit-policy"] == f'"queue";q={DEPTH}'
    assert answer.headers["ratelimit"] == f'"queue";r=0;t={seconds}'


async def test_the_headers_count_down_to_a_full_queue(http: httpx2.AsyncClient) -> None:
    answers = [await http.post("/v1/jobs", json=WORK) for _ in range(DEPTH + 1)]
    assert [answer.status_code for answer in answers] == [202] * DEPTH + [429]
    left = [answer.headers["ratelimit"].split(";")[1] for answer in answers]
    assert left == [f"r={DEPTH - 1 - i}" for i in range(DEPTH)] + ["r=0"]


@pytest.mark.parametrize("there", [0, 13, DEPTH - 1, DEPTH])
async def test_racing_submits_get_in_exactly_as_many_as_fit(
    http: httpx2.AsyncClient, redis: Redis, worker: StandIn, there: int
) -> None:
    for _ in range(there):
        await worker.add()
    racing = (http.post("/v1/jobs", json=WORK, headers={"Idempotency-Key": f"key-{i}"}) for i in range(50))
    answers = await asyncio.gather(*racing)
    fits = DEPTH - there
    assert Counter(answer.status_code for answer in answers) == Counter({202: fits, 429: 50 - fits})
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == fits
    assert await waiting(redis) == DEPTH
    for pattern in (f"{keys.JOB}*", f"{keys.ARQ_JOB}*"):
        assert len(await keys_like(redis, pattern)) == DEPTH
    assert len(await keys_like(redis, "sluice:idempotency:*")) == fits
    assert len((await http.get("/v1/jobs?limit=100")).json()["data"]) == DEPTH


async def test_running_jobs_make_room(http: httpx2.AsyncClient, redis: Redis, worker: StandIn) -> None:
    await fill(worker)
    await worker.take(5)
    answers = await asyncio.gather(*(http.post("/v1/jobs", json=WORK) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 5
    assert await waiting(redis) == DEPTH + 5


async def test_cancelled_jobs_make_room(http: httpx2.AsyncClient, worker: StandIn) -> None:
    first, *_ = await fill(worker)
    problem(await http.post("/v1/jobs", json=WORK), 429, "queue_full")
    await http.post(f"/v1/jobs/{first}/cancel")
    job_of(await http.post("/v1/jobs", json=WORK), 202)


async def test_a_refusal_does_not_use_the_key_up(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    await fill(worker)
    keyed = {"Idempotency-Key": "order-17"}
    problem(await http.post("/v1/jobs", json=WORK, headers=keyed), 429, "queue_full")
    assert await keys_like(redis, "sluice:idempotency:*") == []
    await worker.take()
    answer = await http.post("/v1/jobs", json=WORK | {"input": "Another body"}, headers=keyed)
    job_of(answer, 202)
    assert "idempotency-replayed" not in answer.headers


async def test_a_repeat_is_answered_even_when_the_queue_is_full(http: httpx2.AsyncClient, worker: StandIn) -> None:
    keyed = {"Idempotency-Key": "order-17"}
    first = await http.post("/v1/jobs", json=WORK, headers=keyed)
    for _ in range(DEPTH - 1):
        await worker.add()
    problem(await http.post("/v1/jobs", json=WORK), 429)
    again = await http.post("/v1/jobs", json=WORK, headers=keyed)
    assert job_of(again, 202)["id"] == first.json()["id"]
    problem(await http.post("/v1/jobs", json=WORK | {"input": "y"}, headers=keyed), 422, "idempotency_conflict")


async def test_prefer_wait_does_not_help_against_a_full_queue(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await fill(worker)
    answer = await http.post("/v1/jobs", json=WORK, headers={"Prefer": "wait=30"})
    problem(answer, 429, "queue_full")
    assert answer.elapsed.total_seconds() < 10


async def test_a_bad_submit_is_refused_as_bad_even_when_the_queue_is_full(
    http: httpx2.AsyncClient, worker: StandIn
) -> None:
    await fill(worker)
    problem(await http.post("/v1/jobs", json={"agent": "assistant"}), 422, "invalid_request")


async def test_a_wait_that_would_be_too_long_is_refused(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await worker.paced(slots=1, busy_seconds=5)  # the first starts at once, the second waits for 5 s, the third for 10
    job_of(await http.post("/v1/jobs", json=WORK), 202)
    await worker.take()
    job_of(await http.post("/v1/jobs", json=WORK), 202)
    await worker.paced(slots=1, busy_seconds=5)
    job_of(await http.post("/v1/jobs", json=WORK), 202)
    answer = await http.post("/v1/jobs", json=WORK)
    problem(answer, 429, "queue_full")
    assert 9 <= int(answer.headers["retry-after"]) <= 18


async def test_an_empty_queue_takes_jobs_however_slowly_they_end(http: httpx2.AsyncClient, worker: StandIn) -> None:
    await worker.paced(slots=1, busy_seconds=3600)
    job_of(await http.post("/v1/jobs", json=WORK), 202)


paces = st.builds(
    Pace,
    waiting=st.integers(0, 10**9),
    running=st.integers(0, 10**4),
    slots=st.integers(0, 10**4),
    busy_ms=st.none() | st.integers(0, 10**8),
    now_ms=st.just(10**12),
)


@given(ahead=st.integers(0, 10**9), pace=paces)
def test_the_time_to_come_back_is_always_1_to_300_seconds(ahead: int, pace: Pace) -> None:
    seconds = retry_after(ahead, pace)
    assert 1 <= seconds <= 300
    if pace.drain_rate > 0 and pace.running >= pace.slots:
        assert seconds >= min(300, ahead / pace.drain_rate)
        assert seconds <= max(1, 1.2 * (ahead + 1) / pace.drain_rate + 1)


def test_not_all_are_told_to_come_back_at_the_same_time() -> None:
    busy = Pace(waiting=100, running=1, slots=1, busy_ms=1000, now_ms=0)
    assert len({retry_after(100, busy) for _ in range(200)}) > 5
