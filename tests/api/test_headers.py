"""Headers that come twice, in several lines, or in strange forms."""

import asyncio

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.api.talk import QUICK_CLIENT, WORK, StandIn, job_of, pointers, problem, waiting
from tests.api.test_fuzz import check, few, talking

__all__ = ["talking"]  # a fixture
NAMES = (b"Prefer", b"Idempotency-Key", b"If-None-Match", b"Content-Type", b"Content-Encoding")
JSON = (b"Content-Type", b"application/json")
RAW = b'{"agent":"assistant","input":"x"}'


async def test_two_keys_are_refused_even_when_they_are_the_same(http: httpx2.AsyncClient, redis: Redis) -> None:
    for second in (b"a", b"b", b""):
        answer = await http.post(
            "/v1/jobs", json=WORK, headers=[(b"Idempotency-Key", b"a"), (b"Idempotency-Key", second)]
        )
        assert pointers(problem(answer, 422, "invalid_request")) == {"Idempotency-Key"}
    assert await waiting(redis) == 0


async def test_preferences_may_come_in_several_lines(http: httpx2.AsyncClient, worker: StandIn) -> None:
    headers = [(b"Prefer", b"respond-async"), (b"Prefer", b"wait=20")]
    submit = asyncio.create_task(http.post("/v1/jobs", json=WORK, headers=headers))
    while not (taken := await worker.take()):
        assert not submit.done()
    await worker.finish(taken[0].id)
    assert (await submit).headers["preference-applied"] == "wait=20"


@pytest.mark.parametrize("path", ["", "/turns"])
async def test_tags_may_come_in_several_lines(http: httpx2.AsyncClient, path: str) -> None:
    job_id = (await http.post("/v1/jobs", json=WORK)).json()["id"]
    headers = [(b"If-None-Match", b'"7"'), (b"If-None-Match", b'W/"1"')]
    assert (await http.get(f"/v1/jobs/{job_id}{path}", headers=headers)).status_code == 304


async def test_two_kinds_of_one_body_are_415(http: httpx2.AsyncClient, redis: Redis) -> None:
    problem(await http.post("/v1/jobs", content=RAW, headers=[JSON, JSON]), 415, "unsupported_media_type")
    packed = [JSON, (b"Content-Encoding", b"identity"), (b"Content-Encoding", b"gzip")]
    problem(await http.post("/v1/jobs", content=RAW, headers=packed), 415, "unsupported_media_type")
    assert await waiting(redis) == 0


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", '"iso-8859-1"', "utf-7", "x"])
async def test_another_charset_is_415(http: httpx2.AsyncClient, redis: Redis, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = await http.post("/v1/jobs", content=RAW, headers=headers)
    assert "UTF-8" in problem(answer, 415, "unsupported_media_type")["detail"]
    assert await waiting(redis) == 0


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
async def test_utf8_by_any_spelling_is_taken(http: httpx2.AsyncClient, charset: str) -> None:
    headers = {"Content-Type": f"application/json ;charset={charset}"}
    job_of(await http.post("/v1/jobs", content=RAW, headers=headers), 202)


@few
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from([b"wait=0", b"a", b'W/"1"', b"*", b"application/json; charset=utf-8", b"identity", b"gzip"])
            | st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte > 32 and byte != 127)),
        ),
        max_size=6,
    )
)
def test_any_of_them_any_number_of_times(
    talking: httpx2.Client, api: ServiceProcess, headers: list[tuple[bytes, bytes]]
) -> None:
    for path in ("/v1/jobs", "/v1/jobs:batch"):
        check(talking.post(path, content=RAW, headers=headers))
        check(talking.post(path, content=b'{"jobs":[%s]}' % RAW, headers=[JSON, *headers]))
    with httpx2.Client(base_url=api.url, **QUICK_CLIENT) as another:
        job_id = another.post("/v1/jobs", json=WORK).json()["id"]
        check(another.get(f"/v1/jobs/{job_id}", headers=headers))
        check(another.get(f"/v1/jobs/{job_id}/turns", headers=headers))


ODD = (
    b"Accept",
    b"Authorization",
    b"Idempotency-Key",
    b"Last-Event-ID",
    b"If-None-Match",
    b"traceparent",
    b"tracestate",
    b"Prefer",
    b"Content-Encoding",
    b"Content-Type",
    b"Range",
    b"X-Forwarded-Host",
    b"X-HTTP-Method-Override",
)
WORDS = [
    b"",
    b"*/*;q=nan",
    b"text/event-stream;q=0",
    b"application/xml",
    b"Bearer",
    b"Bearer \xff\xfe",
    b"-1",
    b"9" * 40,
    b"0x10",
    b"1.5",
    b'W/"',
    b'"1", W/"1", *',
    b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01",
    b"wait=99999999999",
    b"wait=-1",
    b"bytes=0-",
    b"br, gzip",
    b"application/json; charset=\xc3\xa9",
    b"\xf0\x9f\x94\x91",
    b"a" * 5000,
]
LISTS = (
    "/v1/jobs",
    "/v1/agents",
    "/v1/queue",
    "/v1/limits",
    "/v1/workers",
    "/v1/webhook_endpoints",
    "/v1/webhook_deliveries",
    "/healthz",
    "/readyz",
    "/docs",
    "/nowhere",
)


@settings(few, max_examples=40)
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(ODD),
            st.sampled_from(WORDS)
            | st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte > 32 and byte != 127)),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_endpoint_answers_odd_headers_as_the_contract_says(
    talking: httpx2.Client, headers: list[tuple[bytes, bytes]]
) -> None:
    """Never a 5xx, and an error is a problem document; the same header in several lines included."""
    job_id = talking.post("/v1/jobs", json=WORK).json()["id"]
    talking.post(f"/v1/jobs/{job_id}/cancel")  # so that its stream has an end
    here = f"/v1/jobs/{job_id}"
    for path in (here, f"{here}/events", f"{here}/turns", *LISTS):
        answered(talking.get(path, headers=headers))
    for path in (f"{here}/cancel", f"{here}/nothing", "/v1/webhook_endpoints/whe_x/test"):
        answered(talking.post(path, headers=headers))
    for path in ("/v1/jobs", "/v1/jobs:batch", "/v1/webhook_endpoints"):
        answered(talking.post(path, content=RAW, headers=headers))


def answered(answer: httpx2.Response) -> None:
    assert answer.headers["x-request-id"]
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem(answer, answer.status_code)
