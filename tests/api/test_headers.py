"""Headers that come twice, in several lines, or in strange forms."""

import asyncio

import httpx2
import pytest
from hypothesis import given
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
