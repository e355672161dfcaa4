"""Every error is a problem document, the framework's own included; every answer names its request."""

import asyncio
import re
from urllib.parse import urlsplit

import httpx2
import pytest

from local.service_process import ServiceProcess
from tests.api.talk import WORK, problem


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v2/jobs",
        "/V1/jobs",
        "/v1/jobs/",
        "/v1//jobs",
        "/v1/jobs/a/b/c",
        "/v1/jobs/x/cancel/",
        "/robots.txt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_address_of_nothing_is_404(http: httpx2.AsyncClient, method: str, path: str) -> None:
    body = problem(await http.request(method, path), 404, "not_found")
    assert body["instance"] == path


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/jobs", "GET, POST"),
        ("/v1/jobs/x", "DELETE, GET"),
        ("/v1/jobs/x/turns", "GET"),
        ("/v1/jobs:batch", "POST"),
        ("/v1/jobs/x/cancel", "POST"),
        ("/v1/agents", "GET"),
        ("/healthz", "GET"),
        ("/readyz", "GET"),
        ("/metrics", "GET"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "PROPFIND", "TRACE", "PURGE"])
async def test_another_method_is_405_and_says_which_are_allowed(
    http: httpx2.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await http.request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("request_id", ["a", "req-1_2.3:4", "0af7651916cd43dd8448eb211c80319c", "x" * 128])
async def test_a_safe_request_id_is_kept(http: httpx2.AsyncClient, request_id: str) -> None:
    for path in ("/healthz", "/v1/jobs", "/nowhere"):
        answer = await http.get(path, headers={"X-Request-Id": request_id})
        assert answer.headers["x-request-id"] == request_id


@pytest.mark.parametrize("request_id", [b"", b"x" * 129, b"a b", b'{"a":1}', b"<b>", b"\xff", b"a/b", b"a\tb", b"a;b"])
async def test_an_unsafe_request_id_is_replaced(http: httpx2.AsyncClient, request_id: bytes) -> None:
    answer = await http.get("/nowhere", headers=[(b"X-Request-Id", request_id)])
    assert re.fullmatch(r"req_[0-9a-f]{32}", problem(answer, 404)["request_id"])


async def test_request_ids_do_not_repeat(http: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get("/healthz") for _ in range(50)))
    assert len({answer.headers["x-request-id"] for answer in answers}) == 50


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/v1/jobs", "/v1/agents", "/openapi.json", "/nowhere"]
)
async def test_no_answer_may_be_stored(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


async def test_a_submit_may_not_be_stored_either(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/v1/jobs", json=WORK)).headers["cache-control"] == "no-store"


BROKEN = {
    "no HTTP": b"HELLO\r\n\r\n",
    "an unknown method": b"FROBNICATE /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n",
    "a raw byte in the path": b"GET /v1/jobs/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a raw byte in the query": b"GET /v1/jobs?status=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\0b\r\n\r\n",
    "a negative length": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "an endless length": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "two lengths": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    "no chunk": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_no_http_is_a_problem_too_and_ends_the_connection(
    http: httpx2.AsyncClient, api: ServiceProcess, text: bytes
) -> None:
    answer = parsed(await exchange(api, text.replace(b"Host: x", b"Host: x\r\nContent-Type: application/json")))
    body = problem(answer, 400, "http_error")
    assert (body["instance"], answer.headers["connection"]) == ("", "close")
    assert re.fullmatch(r"req_[0-9a-f]{32}", body["request_id"])
    assert (await http.get("/healthz")).status_code == 200


async def test_what_is_no_http_keeps_the_request_id_that_came_before_it_went_wrong(api: ServiceProcess) -> None:
    text = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nContent-Length: -1\r\n\r\n"
    assert problem(parsed(await exchange(api, text)), 400)["request_id"] == "mine"


async def test_a_request_id_is_not_taken_from_the_request_before(api: ServiceProcess) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n"
    answered = await exchange(api, request, then=b"HELLO\r\n\r\n")
    good, broken = map(parsed, re.split(rb"(?<=.)(?=HTTP/1.1 \d)", answered))
    assert (good.status_code, good.headers["x-request-id"]) == (200, "mine")
    assert problem(broken, 400, "http_error")["request_id"] != "mine"


async def test_a_caller_that_hangs_up_halfway_is_no_error(http: httpx2.AsyncClient, api: ServiceProcess) -> None:
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{"
    address = urlsplit(api.url)
    for _ in range(10):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(head)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await http.get("/v1/jobs")).json()["data"] == []


async def exchange(api: ServiceProcess, text: bytes, *, then: bytes = b"") -> bytes:
    """All that the server says to these bytes, and once it has answered to those, until it ends the connection."""
    address = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(text)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"}") if then else b""
        writer.write(then)
        answer += await reader.read()
    writer.close()
    return answer


def parsed(answer: bytes) -> httpx2.Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    headers = [(name, value) for name, _, value in (field.partition(b": ") for field in fields)]
    return httpx2.Response(int(status.split()[1]), headers=headers, content=body)
