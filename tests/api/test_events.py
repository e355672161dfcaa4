"""Events over HTTP: lists and streams, cursors, ends, and what a reader may not see or cost."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from api import event_stream, followers
from api.event_stream import EventStream, Streams
from api.followers import Followers, keep_calling
from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared import ids, keys
from shared.errors import StoreUnavailable
from shared.event_log import EventLog
from shared.redis_client import Redis
from tests.api.event_reader import list_of, reading, stream_of
from tests.api.talk import WORK, StandIn, client, digest, problem, tracebacks
from tests.forked import ForkedService
from tests.waiting import until

STREAM = {"Accept": "text/event-stream"}


async def submit(http: httpx2.AsyncClient) -> str:
    return str((await http.post("/v1/jobs", json=WORK)).json()["id"])


async def tell(redis: Redis, job_id: str, number: int, text: str = "word ", count: int = 1) -> None:
    """As the worker that holds the job would, followed here or not."""
    data = json.dumps({"turn": 1, "text": text})
    told = json.dumps([[f"1.{number}", [["text.delta", 0, data]] * count]])
    channels = [one async for one in processes(redis)]
    assert await EventLog(redis).tell("stand-in", job_id, told, channels)


async def processes(redis: Redis) -> AsyncIterator[str]:
    for channel in await redis.pubsub_channels(keys.NEWS + "*"):  # type: ignore[attr-defined]
        yield channel.removeprefix(keys.NEWS)


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


async def test_the_list_has_pages_that_join(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await submit(http)
    await worker.take()
    for number in range(10):
        await tell(redis, job_id, number)
    answer = await http.get(f"/v1/jobs/{job_id}/events?limit=5")
    body = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (body["object"], body["has_more"], body["first_id"], body["last_id"]) == ("list", True, 1, 5)
    rest = await list_of(http, job_id, after=5)
    assert [event["id"] for event in [*body["data"], *rest]] == list(range(1, 13))
    empty = (await http.get(f"/v1/jobs/{job_id}/events?starting_after=12")).json()
    assert empty == {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}


async def test_the_cursor_comes_as_a_header_too_which_goes_first(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await submit(http)
    await worker.run()
    answer = await http.get(f"/v1/jobs/{job_id}/events?starting_after=1", headers={"Last-Event-ID": "2"})
    assert types(answer.json()["data"]) == ["job.succeeded"]


@pytest.mark.parametrize("after", ["3", "4", "999999999999"])
async def test_at_the_end_of_a_finished_job_there_is_nothing_to_come(
    http: httpx2.AsyncClient, worker: StandIn, after: str
) -> None:
    job_id = await submit(http)
    await worker.run()
    for headers in ({}, STREAM):
        answer = await http.get(f"/v1/jobs/{job_id}/events?starting_after={after}", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")


async def test_a_stream_of_a_finished_job_ends(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await submit(http)
    await worker.run()
    async with reading(http, job_id) as reader:
        events = [event async for event in reader]
        assert reader.answer.headers["cache-control"] == "no-store"
        assert reader.answer.headers["x-accel-buffering"] == "no"
        assert reader.answer.headers["x-request-id"]
        assert 1000 <= (reader.retry_ms or 0) <= 4000
    assert types(events) == ["job.queued", "job.running", "job.succeeded"]
    assert events == await list_of(http, job_id)


async def test_a_stream_tells_what_happens_as_it_happens(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await submit(http)
    async with reading(http, job_id) as reader:
        events = aiter(reader)
        assert (await anext(events))["type"] == "job.queued"
        await worker.take()
        assert (await anext(events))["type"] == "job.running"
        for number in range(5):
            await tell(redis, job_id, number, f"word {number}")
            assert (await anext(events))["data"]["text"] == f"word {number}"
        await worker.finish(job_id)
        assert [event["type"] async for event in events] == ["job.succeeded"]


async def test_a_long_poll_is_not_woken_by_what_is_told_in_between(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    job_id = await submit(http)
    await worker.take()
    poll = asyncio.create_task(http.get(f"/v1/jobs/{job_id}?wait=25"))
    async with reading(http, job_id, after=2) as reader:
        await tell(redis, job_id, 1)
        async for event in reader:
            assert event["type"] == "text.delta"
            break
    assert not poll.done()
    await worker.finish(job_id)
    assert (await poll).json()["status"] == "succeeded"


async def test_a_worker_hears_that_its_job_is_followed(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await submit(http)
    async with redis.pubsub(ignore_subscribe_messages=False) as ear:
        await ear.subscribe(keys.CONTROL + "stand-in")
        async with reading(http, job_id) as reader:
            events = aiter(reader)
            await anext(events)
            await worker.take()
            await anext(events)
            while (message := await ear.get_message(timeout=10)) and message["type"] != "message":
                pass
    (follower,) = [one async for one in processes(redis)]
    assert message
    assert message["data"] == f"follow {job_id} {follower}"
    await worker.finish(job_id)


async def test_whoever_has_gone_costs_nothing(
    http: httpx2.AsyncClient, api: ServiceProcess, worker: StandIn, redis: Redis
) -> None:
    job_id = await submit(http)
    async with contextlib.AsyncExitStack() as open_streams:
        for _ in range(5):
            await open_streams.enter_async_context(reading(http, job_id))
        await until(lambda: streams_of(http, 5))
    await until(lambda: streams_of(http, 0))
    await worker.run()


async def streams_of(http: httpx2.AsyncClient, count: int) -> bool:
    return f"sluice_event_streams {count:.1f}" in (await http.get("/metrics")).text


async def test_who_does_not_read_holds_up_nobody(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    job_id = await submit(http)
    await worker.take()
    host, port = http.base_url.host, http.base_url.port
    with socket.create_connection((host, port or 80)) as deaf:
        request = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
        deaf.sendall(request.encode())
        await until(lambda: streams_of(http, 1))
        async with reading(http, job_id) as reader:
            events = aiter(reader)
            for number in range(100):
                await tell(redis, job_id, number, "x" * 8000, count=10)
            await worker.finish(job_id)
            seen = [event async for event in events]
        assert len(seen) == 1003
        await until(lambda: streams_of(http, 1))  # the deaf one
    await until(lambda: streams_of(http, 0))


async def test_no_job_and_somebody_elses_cannot_be_told_apart(
    redis: Redis, worker: StandIn, redis_server: RedisServer
) -> None:
    keys_of = {name: f'["{digest(name + "-key")}"]' for name in ("acme", "other")}
    settings = {f"SLUICE_TENANTS__{name.upper()}__KEY_DIGESTS": value for name, value in keys_of.items()}
    with ForkedService("api", {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0", **settings}) as process:
        async with client(process.url, headers={"Authorization": "Bearer acme-key"}) as http:
            theirs, own = await worker.add(tenant="other"), await worker.add(tenant="acme")
            for headers in ({}, STREAM):
                bodies = []
                for job_id in (theirs, ids.new_job_id()):
                    body = problem(await http.get(f"/v1/jobs/{job_id}/events", headers=headers), 404, "not_found")
                    bodies.append({**body, "instance": "", "request_id": ""})
                assert bodies[0] == bodies[1]
                problem(await http.get(f"/v1/jobs/{own}/events", headers={"Authorization": "Bearer no"}), 401)
            assert types(await list_of(http, own)) == ["job.queued"]
            await worker.run()
            await worker.run()


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "0x1", "", "²", "9" * 30])
async def test_a_cursor_that_is_none_is_refused_by_name(http: httpx2.AsyncClient, cursor: str) -> None:
    job_id = ids.new_job_id()
    answer = await http.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": cursor.encode()})
    assert problem(answer, 400, "bad_cursor")["errors"][0]["pointer"] == "Last-Event-ID"
    answer = await http.get(f"/v1/jobs/{job_id}/events", params={"starting_after": cursor})
    assert problem(answer, 422, "invalid_request")["errors"][0]["pointer"] == "?starting_after"


@pytest.mark.parametrize(
    ("accept", "stream"),
    [
        ("text/event-stream", True),
        ("TEXT/Event-Stream; charset=utf-8", True),
        ("application/json, text/event-stream;q=0.5", True),
        ("text/event-stream;q=0, application/json", False),
        ("text/event-stream-ish", False),
        ("application/json", False),
        ("*/*", False),
    ],
)
async def test_the_accept_header_says_which(
    http: httpx2.AsyncClient, worker: StandIn, accept: str, stream: bool
) -> None:
    job_id = await submit(http)
    await worker.run()
    answer = await http.get(f"/v1/jobs/{job_id}/events", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/event-stream") is stream


@pytest.fixture
def own_api(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    settings = {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0", "SLUICE_API__MAX_STREAMS": "2"}
    with ForkedService("api", settings) as process:
        yield process


async def test_there_is_a_bound_on_streams(own_api: ServiceProcess, redis: Redis, worker: StandIn) -> None:
    job_id = await worker.add()
    async with client(own_api.url) as http:
        async with reading(http, job_id), reading(http, job_id):
            answer = await http.get(f"/v1/jobs/{job_id}/events", headers=STREAM)
            problem(answer, 503, "too_many_streams")
            assert int(answer.headers["retry-after"]) >= 1
            assert types(await list_of(http, job_id)) == ["job.queued"], "the list is free"
        await until(lambda: streams_of(http, 0))
        async with reading(http, job_id) as reader:
            assert reader.status == 200
            await worker.run()


async def test_a_process_that_stops_ends_its_streams_so_that_others_take_up(
    own_api: ServiceProcess, http: httpx2.AsyncClient, redis: Redis, worker: StandIn
) -> None:
    job_id = await worker.add()
    async with client(own_api.url) as leaving, reading(leaving, job_id) as reader:
        events = aiter(reader)
        last = await anext(events)
        own_api.signal(signal.SIGTERM)
        assert [event async for event in events] == [], "an orderly end, no broken connection"
    assert not tracebacks(own_api.log)
    await worker.run()
    assert types(await stream_of(http, job_id, last["id"])) == ["job.running", "job.succeeded"]


async def test_silence_is_filled_and_nothing_read_for_it(
    redis: Redis, worker: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "PING_SECONDS", 0.02)
    job_id, log = await worker.add(), EventLog(redis)
    reads = []

    async def read(*args: Any, **options: Any) -> Any:
        reads.append(args)
        return await EventLog.read(log, *args, **options)

    monkeypatch.setattr(log, "read", read)
    stream = EventStream(Streams(log, Followers("here"), 10), job_id, "default", 0)
    chunks = [await anext(stream._body) for _ in range(8)]
    assert chunks[0].startswith(b"retry: ")
    assert b"job.queued" in chunks[1]
    assert chunks[2:] == [b": ping\n\n"] * 6
    assert len(reads) == 1
    await stream._body.aclose()
    assert stream._streams.followers.followed_closely == []
    await worker.run()


async def test_workers_are_told_again_and_again_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "CALL_SECONDS", 0.01)
    here, calls, broken = Followers("here"), [], [True]

    class Log(EventLog):
        async def follow(self, follower: str, job_ids: Any) -> None:
            calls.append((follower, sorted(job_ids)))
            if broken:
                broken.pop()
                raise StoreUnavailable("away")

    calling = asyncio.create_task(keep_calling(here, Log(None)))  # type: ignore[arg-type]
    with here.follow_closely("job_1"), here.follow_closely("job_2"), here.follow("job_3"):
        await until(lambda: len(calls) >= 3)
    told = len(calls)
    assert set(map(str, calls)) == {"('here', ['job_1', 'job_2'])"}
    await asyncio.sleep(0.05)
    assert len(calls) <= told + 1, "nobody follows, nobody is told"
    calling.cancel()
    await asyncio.wait([calling])


async def test_readers_of_the_same_share_a_reading(redis: Redis, worker: StandIn) -> None:
    job_id, log = await worker.add(), EventLog(redis)
    streams = Streams(log, Followers("here"), 100)
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]  # type: ignore[attr-defined]
    chunks = await asyncio.gather(*(streams.reader.read(job_id, "default", 0, new=True) for _ in range(50)))
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]  # type: ignore[attr-defined]
    assert after - before == 1
    assert len({id(chunk) for chunk in chunks}) == 1
    await worker.run()


async def test_a_stalled_reader_is_let_go(redis: Redis, worker: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "STALLED_SECONDS", 0.05)
    job_id = await worker.add()
    streams = Streams(EventLog(redis), Followers("here"), 10)
    stream, sent = EventStream(streams, job_id, "default", 0), []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 2:
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    assert len(sent) == 3
    assert streams.open == 0
    assert streams.followers.followed_closely == []
    await worker.run()
