"""The key goes to the server and nowhere else; what cannot be meant is refused before anything is sent."""

import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from client.sluice_client import ApiError, AsyncSluice, NoAnswer, Sluice
from tests.client.both import Both
from tests.client.misbehaving import Misbehaving, answer, problem, reset

Make = Callable[..., Both]
KEY = "slc_this-is-a-secret"


async def test_the_key_is_sent_with_everything(server: Misbehaving, both: Make) -> None:
    client = both(key=KEY)
    server.will(answer(200, {"data": [], "has_more": False}))
    await client.do("get", "job_1")
    await client.all("list")
    server.will(answer(204))
    await client.all("stream", "job_1")
    assert {one.headers["authorization"] for one in server.requests} == {f"Bearer {KEY}"}
    assert len(server.requests) == 3


async def test_no_key_is_no_header(server: Misbehaving, both: Make) -> None:
    server.will(answer(200, {}))
    for key in (None, ""):
        await both(key=key).do("get", "job_1")
    assert not any("authorization" in one.headers for one in server.requests)


@pytest.mark.parametrize("act", [reset(), problem(401, "unauthorized", retryable=False)])
async def test_nothing_that_is_shown_shows_the_key(server: Misbehaving, both: Make, act: Any) -> None:
    client = both(key=KEY, retries=0)
    server.will(act)
    with pytest.raises((NoAnswer, ApiError)) as caught:
        await client.do("submit", "assistant", "Hello")
    error = caught.value
    ours = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "sluice_client" in frame.f_code.co_filename]
    assert len(ours) >= 4
    for shown in (client.sluice, error, traceback.format_exception(error), *(frame.f_locals for frame in ours)):
        assert KEY not in f"{shown} {shown!r}"


@pytest.mark.parametrize("kind", [Sluice, AsyncSluice])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(kind: type) -> None:
    for key in (f"{KEY}\n", f" {KEY}", "schlüssel"):
        with pytest.raises(ValueError, match="key") as caught:
            kind("http://127.0.0.1", key)
        assert key.strip() not in str(caught.value)
    with pytest.raises(ValueError, match="https://"):
        kind("127.0.0.1:8000")


async def test_an_id_leads_nowhere_else(server: Misbehaving, both: Make) -> None:
    server.will(answer(200, {}))
    await both(f"{server.url}/behind/a/proxy/").do("get", "../queue?x=/y")
    assert server.requests[0].path == "/behind/a/proxy/v1/jobs/..%2Fqueue%3Fx%3D%2Fy"


async def test_what_json_has_no_word_for(server: Misbehaving, both: Make) -> None:
    client = both()
    server.will(answer(202, {}))
    await client.do("submit", "assistant", "Grüße", budget={"max_cost_usd": Decimal("0.50")}, new_field=[1, None])
    assert server.requests[0].json["budget"] == {"max_cost_usd": "0.50"}
    assert server.requests[0].json["new_field"] == [1, None], "newer servers may take more"
    for wrong, error in ((float("nan"), ValueError), ({1, 2}, TypeError)):
        with pytest.raises(error):
            await client.do("submit", "assistant", "Hello", delay_seconds=wrong)
    assert len(server.requests) == 1


async def test_what_a_newer_server_adds_is_kept(server: Misbehaving, both: Make) -> None:
    server.will(answer(200, {"id": "job_1", "status": "succeeded", "mood": "good"}))
    assert (await both().do("wait", "job_1"))["mood"] == "good"
