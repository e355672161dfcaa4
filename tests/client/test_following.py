"""Waiting and streaming over everything that breaks: no event is missed, none is told twice, and the time is kept."""

import asyncio
from collections.abc import Callable

import pytest

from client import sluice_client
from client.sluice_client import NoAnswer, NotFound, TimedOut
from shared import clock
from tests.client.both import Both
from tests.client.misbehaving import (
    LAST_CHUNK,
    Act,
    Misbehaving,
    answer,
    chunk,
    drip,
    event,
    hang,
    problem,
    raw,
    reset,
    stream,
)

Make = Callable[..., Both]
RUNNING = {"id": "job_1", "status": "running", "revision": 2}
ENDED = {"id": "job_1", "status": "failed", "revision": 3}
MISSING = problem(404, "not_found", retryable=False)
END = event(9, "job.succeeded")


async def test_a_wait_goes_through_an_outage(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    away = problem(503, "draining", retryable=True, retry_after="1")
    server.will(
        *[reset(), away, answer(502), problem(429, "tenant_rate", retryable=True, retry_after="9")] * 3,
        answer(200, RUNNING, etag='W/"2"'),
        reset(),
        answer(304),
        answer(200, ENDED),
    )
    assert await both(retries=0).do("wait", "job_1", timeout=1000) == ENDED
    assert len(server.requests) == 16
    assert all(one.path.startswith("/v1/jobs/job_1?wait=2") for one in server.requests)
    assert [one.headers.get("if-none-match") for one in server.requests[12:]] == [None, *['W/"2"'] * 3]


async def test_a_wait_has_an_end(server: Misbehaving, both: Make) -> None:
    client = both()
    away = problem(503, "draining", retryable=True, retry_after="9")
    for act in (hang(), reset(), answer(200, RUNNING, etag='W/"2"'), away):
        server.will(act)
        began = clock.monotonic()
        with pytest.raises(TimedOut):
            await client.do("wait", "job_1", timeout=0.2)
        assert clock.monotonic() - began < 5
    with pytest.raises(TimeoutError):
        await both("http://127.0.0.1:1").do("wait", "job_1", timeout=0.2)
    with pytest.raises(TimedOut):
        await both().do("wait", "job_1", timeout=0)


async def test_a_wait_for_what_is_not_there_ends_at_once(server: Misbehaving, both: Make) -> None:
    server.will(MISSING)
    with pytest.raises(NotFound):
        await both().do("wait", "job_1")


async def test_a_server_that_holds_nothing_back_is_not_asked_all_the_time(
    server: Misbehaving, both: Make, pauses: list[float]
) -> None:
    server.will(*[answer(200, RUNNING, etag='W/"2"')] * 4, answer(200, ENDED))
    await both().do("wait", "job_1")
    assert pauses == [0.5] * 3


async def test_a_stream_goes_on_where_it_broke(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    half = event(4, "text.delta", text="four")[:-20]
    server.will(
        raw(stream(b"retry: 2500\n\n" + event(1, "job.queued") + event(2) + b": ping\n\n"), "reset"),
        raw(stream(event(3) + half)),
        problem(503, "too_many_streams", retryable=True, retry_after="5"),
        reset(),
        raw(stream(event(4, "text.delta", text="four")) + LAST_CHUNK),
        raw(stream(half)),
        raw(stream(event(5)) + chunk(END), "hang"),
    )
    found = await both().all("stream", "job_1")
    assert [one["id"] for one in found] == [1, 2, 3, 4, 5, 9]
    assert found[3]["data"] == {"text": "four"}
    assert [one.headers["last-event-id"] for one in server.requests] == ["0", "2", "3", "3", "3", "4", "4"]
    assert {one.headers["accept"] for one in server.requests} == {"text/event-stream"}
    asked_for = [2.5, 2.5, 5, 2.5, 2.5, 2.5]
    assert all(one <= pause <= one * 1.1 for one, pause in zip(asked_for, pauses, strict=True)), pauses


async def test_a_stream_ends_where_there_is_nothing_to_come(server: Misbehaving, both: Make) -> None:
    server.will(answer(204))
    assert await both().all("stream", "job_1", after=9) == []
    assert server.requests[0].headers["last-event-id"] == "9"


async def test_a_stream_survives_garbage(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    bad = [b"data: {not json\n\n", b"data: 7\n\n", b'data: {"id": "one", "type": "x"}\n\n', b"data: \xff\xfe\n\n"]
    ignored = b"\n\n: comment\nevent\nid\nunknown: field\n\n"
    server.will(*(raw(stream(event(1) + one + event(2))) for one in bad), raw(stream(ignored + END)))
    found = await both().all("stream", "job_1")
    assert [one["id"] for one in found] == [1, 1, 1, 1, 9], "this server repeats itself"
    assert [one.headers["last-event-id"] for one in server.requests] == ["0", "1", "1", "1", "1"]


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_events_come_whole_however_they_are_cut(server: Misbehaving, both: Make, pieces: int) -> None:
    text = "Grüße\u2028\u0085 \N{SNOWMAN}\N{ROCKET}"
    lines = event(1, "text.delta", text=text).replace(b"\n", b"\r\n") + b'data: {"id": 2,\ndata:"type": "x"}\n\n' + END
    server.will(drip(b"".join([stream(b"")[: -len(chunk(b""))], chunk(lines)]), 0, pieces))
    found = await both().all("stream", "job_1")
    assert found[0]["data"] == {"text": text}
    assert found[1] == {"id": 2, "type": "x"}
    assert len(found) == 3


async def test_what_is_no_stream_is_not_asked_for_again(server: Misbehaving, both: Make) -> None:
    page, job = answer(200, b"<html>", "text/html"), answer(200, RUNNING)
    for act, kind in ((MISSING, NotFound), (page, NoAnswer), (job, NoAnswer)):
        server.will(act)
        with pytest.raises(kind):
            await both().all("stream", "job_1")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "act",
    [
        hang(),
        reset(),
        raw(stream(b": ping\n\n"), "hang"),
        drip(stream(b": ping\n\n") + chunk(b": ping\n\n") * 10**5, 0.01, 13),
        raw(stream(b"") + LAST_CHUNK),
    ],
)
async def test_a_stream_has_an_end(server: Misbehaving, both: Make, act: Act) -> None:
    server.will(act)
    with pytest.raises(TimedOut):
        await both().all("stream", "job_1", timeout=0.3)


async def test_a_stream_in_which_nothing_stirs_is_left(
    server: Misbehaving, both: Make, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sluice_client, "_SILENCE", 0.2)
    server.will(raw(stream(event(1)), "hang"), raw(stream(event(2) + END)))
    assert [one["id"] for one in await both().all("stream", "job_1", timeout=20)] == [1, 2, 9]
    assert len(pauses) == 1


async def test_a_reader_who_stops_hangs_up(server: Misbehaving, both: Make) -> None:
    server.will(raw(stream(event(1)), "hang"))
    assert len(await both().all("stream", "job_1", most=1)) == 1
    async with asyncio.timeout(10):
        await server.gone.wait()


async def test_whoever_hears_something_again_is_soon_back(server: Misbehaving, both: Make, pauses: list[float]) -> None:
    server.will(*[reset()] * 5, raw(stream(event(1))), reset(), raw(stream(END)))
    await both().all("stream", "job_1")
    assert max(pauses[:5]) >= 4, "longer each time"
    assert pauses[5] <= 0.5
    assert pauses[6] <= 1
