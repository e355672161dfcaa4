"""GET /v1/jobs: newest first, each job exactly once whichever way one walks, filters, bounds."""

from collections import Counter
from typing import Any

import httpx2
import pytest

from shared.redis_client import Redis
from tests.api.talk import WORK, StandIn, check_job, pointers, problem

MANY = 430
"""More than two of the pages in which the store is read."""


async def page(http: httpx2.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"object", "data", "has_more", "first_id", "last_id"}
    assert body["object"] == "list"
    for job in body["data"]:
        check_job(job)
    found = [job["id"] for job in body["data"]]
    assert [body["first_id"], body["last_id"]] == ([found[0], found[-1]] if found else [None, None])
    return body


async def walk(http: httpx2.AsyncClient, towards: str, start: str | None = None, **query: Any) -> list[str]:
    """All ids on the way: `after` goes to older jobs, `before` to newer ones; newest first in both cases."""
    found: list[str] = []
    cursor = {} if start is None else {towards: start}
    while True:
        body = await page(http, **query, **cursor)
        ids = [job["id"] for job in body["data"]]
        found = found + ids if towards == "after" else ids + found
        if not body["has_more"]:
            return found
        cursor = {towards: body["last_id"] if towards == "after" else body["first_id"]}


@pytest.fixture
async def many(http: httpx2.AsyncClient, worker: StandIn) -> list[str]:
    """Ids, newest first; every third is of the agent `frugal`, every seventh of the session s7."""
    made = [
        await worker.add(agent="frugal" if i % 3 == 0 else "assistant", session_id="s7" if i % 7 == 0 else None)
        for i in range(MANY)
    ]
    return made[::-1]


async def test_no_jobs_are_an_empty_list(http: httpx2.AsyncClient) -> None:
    body = await page(http)
    assert (body["data"], body["has_more"]) == ([], False)


async def test_the_newest_twenty_come_first(http: httpx2.AsyncClient, many: list[str]) -> None:
    body = await page(http)
    assert [job["id"] for job in body["data"]] == many[:20]
    assert body["has_more"]


@pytest.mark.parametrize("limit", [7, 43, 100])
async def test_a_walk_finds_every_job_exactly_once(http: httpx2.AsyncClient, many: list[str], limit: int) -> None:
    assert await walk(http, "after", limit=limit) == many
    assert await walk(http, "before", start=many[-1], limit=limit) == many[:-1]


async def test_pages_that_just_fit_have_no_more(http: httpx2.AsyncClient, worker: StandIn) -> None:
    made = [await worker.add() for _ in range(20)]
    assert not (await page(http, limit=20))["has_more"]
    assert (await page(http, limit=19))["has_more"]
    assert not (await page(http, limit=19, before=made[0]))["has_more"]
    assert (await page(http, limit=18, before=made[0]))["has_more"]


async def test_a_page_before_is_the_one_next_to_the_cursor(http: httpx2.AsyncClient, many: list[str]) -> None:
    body = await page(http, before=many[50], limit=10)
    assert [job["id"] for job in body["data"]] == many[40:50]


async def test_a_cursor_need_not_exist_any_more(http: httpx2.AsyncClient, many: list[str]) -> None:
    zeros, effs = "job_00000000-0000-7000-8000-000000000000", "job_ffffffff-ffff-7fff-bfff-ffffffffffff"
    assert (await page(http, after=zeros))["data"] == []
    assert (await page(http, before=effs))["data"] == []
    assert await walk(http, "after", start=effs, limit=100) == many
    assert await walk(http, "before", start=zeros, limit=100) == many


@pytest.mark.parametrize("towards", ["after", "before"])
async def test_a_walk_with_filters_finds_every_match_once(
    http: httpx2.AsyncClient, many: list[str], towards: str
) -> None:
    start = "job_00000000-0000-7000-8000-000000000000" if towards == "before" else None
    ages = {job_id: MANY - 1 - place for place, job_id in enumerate(many)}
    frugal = [job_id for job_id in many if ages[job_id] % 3 == 0]
    assert await walk(http, towards, start=start, agent="frugal", limit=50) == frugal
    both = [job_id for job_id in frugal if ages[job_id] % 7 == 0]
    assert await walk(http, towards, start=start, agent="frugal", session_id="s7", limit=3) == both


async def test_the_status_is_a_filter(http: httpx2.AsyncClient, worker: StandIn) -> None:
    for _ in range(5):
        await worker.add()
    ended = await worker.run()
    (running,) = await worker.take()
    expected = {"queued": 3, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    found = {status: (await page(http, status=status))["data"] for status in expected}
    assert {status: len(jobs) for status, jobs in found.items()} == expected
    assert (found["succeeded"][0]["id"], found["running"][0]["id"]) == (ended, running.id)


async def test_a_filter_that_matches_nothing_is_an_empty_list(http: httpx2.AsyncClient, many: list[str]) -> None:
    assert await page(http, agent="nobody") == await page(http, session_id="none")
    assert not (await page(http, agent="nobody"))["has_more"]


async def test_the_time_of_creation_is_a_filter_exact_to_the_millisecond(
    http: httpx2.AsyncClient, many: list[str]
) -> None:
    times = {}
    for part in (None, many[99], many[199], many[299], many[399]):
        jobs = (await page(http, limit=100, **({"after": part} if part else {})))["data"]
        times |= {job["id"]: job["created_at"] for job in jobs}
    assert len(times) == MANY
    moments = sorted(times.values())
    for moment in (moments[0], moments[17], moments[211], moments[-1]):
        later = [job_id for job_id in many if times[job_id] > moment]
        earlier = [job_id for job_id in many if times[job_id] < moment]
        assert await walk(http, "after", created_after=moment, limit=100) == later
        assert await walk(http, "after", created_before=moment, limit=100) == earlier
        assert await walk(http, "before", start=many[-1], created_after=moment, limit=100) == later


async def test_times_are_taken_in_every_zone(http: httpx2.AsyncClient, many: list[str]) -> None:
    for past in ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"):
        assert (await page(http, created_after=past, limit=1))["has_more"]
        assert (await page(http, created_before=past, limit=1))["data"] == []
    assert (await page(http, created_after="9999-12-31T23:59:59Z"))["data"] == []
    assert (await page(http, created_before="9999-12-31T23:59:59Z", limit=1))["has_more"]


async def test_jobs_whose_retention_has_ended_are_left_out(
    http: httpx2.AsyncClient, redis: Redis, many: list[str]
) -> None:
    for job_id in many[::2]:
        await http.post(f"/v1/jobs/{job_id}/cancel")
        await redis.delete(f"sluice:job:{job_id}")
    assert await walk(http, "after", limit=30) == many[1::2]


async def test_a_walk_goes_on_while_new_jobs_come_in(http: httpx2.AsyncClient, worker: StandIn) -> None:
    old = [await worker.add() for _ in range(30)][::-1]
    first = await page(http, limit=10)
    for _ in range(5):
        await worker.add()
    rest = await walk(http, "after", start=first["last_id"], limit=10)
    assert [job["id"] for job in first["data"]] + rest == old
    assert Counter(rest).most_common(1)[0][1] == 1


async def test_other_tenants_jobs_are_not_listed(http: httpx2.AsyncClient, worker: StandIn) -> None:
    theirs = await worker.add(tenant="acme")
    mine = (await http.post("/v1/jobs", json=WORK)).json()["id"]
    assert [job["id"] for job in (await page(http))["data"]] == [mine]
    problem(await http.get(f"/v1/jobs/{theirs}"), 404, "not_found")


CURSORS = ["", "x", "job_", "%00", "(", "[", "+", "-", "job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1", "%FF", "x" * 9000]


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("cursor", CURSORS, ids=range(len(CURSORS)))
async def test_a_cursor_that_is_no_id_is_refused(http: httpx2.AsyncClient, name: str, cursor: str) -> None:
    body = problem(await http.get(f"/v1/jobs?{name}={cursor}"), 400, "bad_cursor")
    assert body["errors"][0]["pointer"] == f"?{name}"


REFUSED = {
    "limit": ["0", "-1", "101", "1e2", "1.5", "x", "", "%00", "9" * 5000, "true", "nan"],
    "status": ["", "QUEUED", "done", "queued,running", "%00", "%ED%A0%80"],
    "agent": ["x" * 65],
    "session_id": ["x" * 129],
    "created_after": [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "1700000000",
        "%00",
        "99999-01-01T00:00:00Z",
    ],
    "created_before": ["2026-13-01T00:00:00Z", "2026-01-31T12:00:00%2B99:00", "9" * 5000, "NaN"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
async def test_a_query_that_cannot_be_meant_is_refused_by_name(http: httpx2.AsyncClient, name: str, value: str) -> None:
    body = problem(await http.get(f"/v1/jobs?{name}={value}"), 422, "invalid_request")
    assert [error["pointer"] for error in body["errors"]] == [f"?{name}"]


async def test_both_cursors_at_once_are_refused(http: httpx2.AsyncClient, worker: StandIn) -> None:
    job_id = await worker.add()
    problem(await http.get(f"/v1/jobs?after={job_id}&before={job_id}"), 422, "invalid_request")


@pytest.mark.parametrize("query", ["agent=%00", "agent=%FF", "session_id=*", "", "&&"])
async def test_strange_but_harmless_queries_are_answered(http: httpx2.AsyncClient, query: str) -> None:
    assert (await http.get(f"/v1/jobs?{query}")).status_code == 200


@pytest.mark.parametrize("query", ["limit=1&limit=2", "=", "a=b", "%", "Limit=1", "limit%5B%5D=1", "wait=1"])
async def test_a_parameter_there_is_not_or_that_is_there_twice_is_refused_by_name(
    http: httpx2.AsyncClient, query: str
) -> None:
    name = query.split("=")[0].replace("%5B%5D", "[]")
    body = problem(await http.get(f"/v1/jobs?agent=assistant&{query}"), 422, "invalid_request")
    assert pointers(body) == {f"?{name}"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/jobs"),
        ("POST", "/v1/jobs:batch"),
        ("GET", "/v1/agents"),
        ("GET", "/v1/limits"),
        ("GET", "/v1/jobs/x"),
        ("GET", "/v1/jobs/x/turns"),
        ("DELETE", "/v1/jobs/x"),
        ("POST", "/v1/jobs/x/cancel"),
    ],
)
async def test_no_endpoint_ignores_a_parameter(http: httpx2.AsyncClient, method: str, path: str) -> None:
    body = problem(await http.request(method, f"{path}?dry_run=true"), 422, "invalid_request")
    assert pointers(body) == {"?dry_run"}


async def test_a_wrong_parameter_is_told_as_a_wrong_field_is(http: httpx2.AsyncClient) -> None:
    (error,) = problem(await http.get("/v1/jobs?limit=0"), 422, "invalid_request")["errors"]
    assert error == {"pointer": "?limit", "detail": "input should be greater than or equal to 1"}
