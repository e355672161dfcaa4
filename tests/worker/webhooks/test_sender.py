"""One attempt at receivers of every kind: what it comes to, how long it takes, and what it never does."""

import asyncio
import ssl
from pathlib import Path

import pytest

from shared import clock
from shared.receiver import Receiver, UrlPolicy, receiver
from tests.worker.webhooks.certificates import certificate
from tests.worker.webhooks.listening import (
    Behave,
    answer,
    hang,
    listening,
    never_ending,
    never_ending_head,
    raw,
    reset,
)
from worker.webhooks.sender import LONGEST_ANSWER, Answer, Sender

OPEN = UrlPolicy(allow_http=True, allow_private_networks=True)


@pytest.fixture
def sender() -> Sender:
    return Sender(allow_private_networks=True, seconds=5)


async def post(sender: Sender, url: str) -> Answer:
    return await sender.post(receiver(url, OPEN), {"webhook-id": "msg_1"}, b'{"a":1}')


async def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def test_a_receiver_gets_exactly_what_was_meant(sender: Sender) -> None:
    async with listening(answer(200, b"thanks")) as there:
        got = await post(sender, f"{there.url}/a?b=c%20d")

    assert (got.status, got.error, got.text, got.good) == (200, None, "thanks", True)
    (request,) = there.got
    assert request.line == "POST /hook/a?b=c%20d HTTP/1.1"
    assert request.headers == {
        "host": f"127.0.0.1:{there.port}",
        "connection": "close",
        "webhook-id": "msg_1",
        "content-length": "7",
    }
    assert request.body == b'{"a":1}'


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_counts(sender: Sender, status: int) -> None:
    async with listening(answer(status)) as there:
        assert (await post(sender, there.url)).good


@pytest.mark.parametrize("status", [304, 400, 404, 410, 429, 500, 502, 503])
async def test_nothing_else_counts(sender: Sender, status: int) -> None:
    async with listening(answer(status)) as there:
        got = await post(sender, there.url)
    assert (got.status, got.good) == (status, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(sender: Sender, status: int) -> None:
    async with listening() as other, listening(answer(status, b"", f"Location: {other.url}")) as there:
        got = await post(sender, there.url)
    assert (got.status, got.good, other.connections) == (status, False, 0)


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (hang, "timeout"),
        (reset, "connection_lost"),
        (raw(b""), "connection_lost"),
        (raw(b"\x00\xff garbage \r\n\r\n"), "bad_answer"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "connection_lost"),
        (raw(b"HTTP/1.1 200"), "connection_lost"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: no\r\n\r\n"), "bad_answer"),
        (never_ending_head, "bad_answer"),
    ],
)
async def test_a_receiver_that_does_not_answer_is_told_apart(behave: Behave, error: str) -> None:
    sender = Sender(allow_private_networks=True, seconds=0.5 if behave is hang else 10)
    async with listening(behave) as there:
        got = await post(sender, there.url)
    assert (got.status, got.error) == (None, error)


async def test_informational_answers_without_end_are_given_up(sender: Sender) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()

    async with listening(behave) as there:
        got = await post(Sender(allow_private_networks=True, seconds=0.5), there.url)
    assert (got.status, got.error) == (None, "timeout")


async def test_of_a_body_without_end_only_the_beginning_is_read(sender: Sender) -> None:
    async with listening(never_ending) as there:
        got = await post(sender, there.url)
    assert (got.status, got.text, got.good) == (200, "x" * LONGEST_ANSWER, True)
    assert got.seconds < 4


async def test_a_body_that_never_comes_takes_nothing_from_a_good_status() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await reader.read()

    began = clock.monotonic()
    async with listening(behave) as there:
        got = await post(Sender(allow_private_networks=True), there.url)
    assert (got.status, got.text, got.good) == (200, "half", True)
    assert clock.monotonic() - began < 10


async def test_what_is_packed_is_not_unpacked(sender: Sender) -> None:
    async with listening(answer(200, b"\x1f\x8b\x08bomb", "Content-Encoding: gzip")) as there:
        got = await post(sender, there.url)
    assert "bomb" in got.text


async def test_nobody_there(sender: Sender) -> None:
    async with listening() as there:
        url = there.url
    assert (await post(sender, url)).error == "connection_failed"


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        (["Retry-After: 120"], 120),
        (["Retry-After: 0"], 0),
        (["Retry-After: Sun, 06 Nov 1994 08:50:37 GMT", "Date: Sun, 06 Nov 1994 08:49:37 GMT"], 60),
        (["Retry-After: Sun, 06 Nov 1994 08:48:37 GMT", "Date: Sun, 06 Nov 1994 08:49:37 GMT"], 0),
        (["Retry-After: Sun, 06 Nov 1994 08:50:37 GMT"], None),
        (["Retry-After: soon"], None),
        (["Retry-After: -5"], None),
        (["Retry-After: 99999999999999999999"], 999999999),
        ([], None),
    ],
)
async def test_a_receiver_can_say_when(sender: Sender, fields: list[str], seconds: float | None) -> None:
    async with listening(answer(503, b"", *fields)) as there:
        assert (await post(sender, there.url)).retry_after == seconds


async def test_proxies_of_the_environment_are_not_asked(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as proxy, listening() as there:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert (await post(Sender(allow_private_networks=True), there.url)).good
    assert proxy.connections == 0


async def test_tls_is_verified_by_the_name_and_told_to_the_server(tmp_path: Path) -> None:
    made = certificate(tmp_path, "hooks.example")
    trusting = ssl.create_default_context(cafile=made.path)
    told: list[str | None] = []
    made.server.sni_callback = lambda connection, name, context: told.append(name)
    async with listening(tls=made.server) as there:

        async def attempt(host: str, context: ssl.SSLContext | None) -> Answer:
            sender = Sender(allow_private_networks=True, lookup=loopback, ssl_context=context)
            return await sender.post(Receiver("https", host, there.port, "/x"), {}, b"{}")

        assert (await attempt("hooks.example", trusting)).good
        assert (await attempt("other.example", trusting)).error == "tls_failed", "another name"
        assert (await attempt("hooks.example", None)).error == "tls_failed", "nobody we trust signed it"
    assert told == ["hooks.example", "other.example", "hooks.example"]
    assert [request.headers["host"] for request in there.got] == [f"hooks.example:{there.port}"]


async def test_tls_to_somebody_who_does_not_speak_it(sender: Sender) -> None:
    async with listening(raw(b"HTTP/1.1 200 OK\r\n\r\n")) as there:
        got = await sender.post(Receiver("https", "127.0.0.1", there.port, "/"), {}, b"{}")
    assert got.status is None
    assert got.error in ("tls_failed", "connection_failed", "timeout")
    assert there.got == []
