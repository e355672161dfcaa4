"""Whatever comes in, the answer is one of the contract's and never a 5xx."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local.service_process import ServiceProcess
from tests.api.talk import QUICK_CLIENT, WORK, check_job, problem

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

header_values = st.binary(max_size=60).map(lambda raw: bytes(byte for byte in raw if byte > 32 and byte != 127))
texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from(["user", "text", "assistant"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.sampled_from(["type", "role"]), inner),
    max_leaves=12,
)


@pytest.fixture
def talking(http: httpx2.AsyncClient, api: ServiceProcess) -> Iterator[httpx2.Client]:
    """Beside `http`, which looks after the agents and the log: hypothesis calls no coroutines."""
    with httpx2.Client(base_url=api.url, **QUICK_CLIENT) as client:
        yield client


def check(answer: httpx2.Response) -> None:
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400:
        assert answer.status_code < 500
        problem(answer, answer.status_code)
    else:
        assert answer.status_code in (200, 202, 304)


@few
@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                b"Idempotency-Key",
                b"Authorization",
                b"X-Request-Id",
                b"traceparent",
                b"tracestate",
                b"Accept",
                b"Cookie",
                b"X-Forwarded-For",
                b"Forwarded",
                b"Origin",
            ]
        )
        | st.from_regex(rb"\AX-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}\Z"),
        header_values,
    )
)
def test_any_headers(talking: httpx2.Client, headers: dict[bytes, bytes]) -> None:
    check(talking.post("/v1/jobs", json=WORK, headers=list(headers.items())))
    check(talking.get("/v1/jobs?limit=1", headers=list(headers.items())))


@few
@given(kind=header_values, coding=header_values, length=st.sampled_from([0, 1, 40]))
def test_any_kind_of_body(talking: httpx2.Client, kind: bytes, coding: bytes, length: int) -> None:
    headers = [(b"Content-Type", kind), (b"Content-Encoding", coding)]
    check(talking.post("/v1/jobs", content=b"{" * length, headers=headers))


@few
@given(prefer=st.text(alphabet='wait=;, "\u00e9', max_size=20), tag=header_values)
def test_any_preference_and_tag(talking: httpx2.Client, prefer: str, tag: bytes) -> None:
    answer = talking.post("/v1/jobs", json=WORK, headers=[(b"Prefer", prefer.strip().encode("latin-1"))])
    check(answer)
    check(talking.get(answer.headers["location"], headers=[(b"If-None-Match", tag)]))


@few
@given(part=st.text(min_size=1, max_size=40) | st.binary(min_size=1, max_size=40))
@example(part="\0")
@example(part=b"\xff")
@example(part="/" * 40)
def test_any_address(talking: httpx2.Client, part: str | bytes) -> None:
    for safe in ("", "/"):
        path = quote(part.encode(errors="replace") if isinstance(part, str) else part, safe=safe)
        check(talking.get(f"/v1/jobs/a{path}"))
        check(talking.post(f"/v1/jobs/a{path}/cancel"))


NAMES = ["status", "agent", "session_id", "created_after", "created_before", "limit", "after", "before", "wait"]


@few
@given(query=st.lists(st.tuples(st.sampled_from(NAMES) | texts, texts | st.integers().map(str)), max_size=4))
def test_any_query(talking: httpx2.Client, query: list[tuple[str, str]]) -> None:
    text = "&".join(f"{quote(name, errors='replace')}={quote(value, errors='replace')}" for name, value in query)
    check(talking.get(f"/v1/jobs?{text}"))


@few
@given(raw=st.binary(max_size=200))
def test_any_bytes_for_a_body(talking: httpx2.Client, raw: bytes) -> None:
    check(talking.post("/v1/jobs", content=raw, headers={"Content-Type": "application/json"}))


@few
@given(raw=st.data())
def test_any_damage_to_a_good_body(talking: httpx2.Client, raw: st.DataObject) -> None:
    good = bytearray(json.dumps(WORK | {"budget": {"max_cost_usd": "0.1"}, "metadata": {"a": "b"}}).encode())
    for _ in range(raw.draw(st.integers(1, 3))):
        good[raw.draw(st.integers(0, len(good) - 1))] = raw.draw(st.integers(0, 255))
    check(talking.post("/v1/jobs", content=bytes(good), headers={"Content-Type": "application/json"}))


@settings(few, max_examples=200)
@given(
    field=st.sampled_from(["agent", "input", "priority", "session_id", "budget", "metadata", "x"]),
    value=values,
)
def test_any_value_in_any_field(talking: httpx2.Client, field: str, value: Any) -> None:
    raw = json.dumps(WORK | {field: value}).encode()
    answer = talking.post("/v1/jobs", content=raw, headers={"Content-Type": "application/json"})
    check(answer)
    if answer.status_code == 202:
        again = talking.get(answer.headers["location"])
        assert again.status_code == 200
        check_job(again.json())
        if field in ("input", "metadata"):
            assert again.json()[field] == value


@few
@given(text=st.text(min_size=1))
@example(text="\u2028\u0001\ufeff\U0010ffff\uffff")
def test_any_text_comes_back_as_it_went_in(talking: httpx2.Client, text: str) -> None:
    answer = talking.post("/v1/jobs", json=WORK | {"input": text, "metadata": {"text": text[:500]}})
    check(answer)
    if answer.status_code == 202:
        job = talking.get(answer.headers["location"]).json()
        assert (job["input"], job["metadata"]) == (text, {"text": text[:500]})
    else:
        assert "\0" in text or not text.strip()
