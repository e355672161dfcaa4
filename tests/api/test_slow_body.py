"""A body that does not come must not hold a connection for ever."""

import asyncio

import pytest
from starlette.requests import Request

from api import body
from api.problems import Code, Problem


async def test_a_body_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "READ_SECONDS", 0.05)
    first = {"type": "http.request", "body": b'{"agent": ', "more_body": True}

    async def receive() -> dict[str, object]:
        if first["more_body"]:
            first["more_body"] = False
            return {**first, "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    with pytest.raises(Problem) as caught:
        await body.read_json(Request(scope, receive), max_bytes=1000)

    assert (caught.value.code, caught.value.status) == (Code.BODY_TIMEOUT, 408)
