"""A tool's `verify`: how it is declared, asked, and that whatever it does it says yes, no or nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from shared.turn import ToolCall
from worker.agents import Tool, tool
from worker.tool_runner import MAX_OUTPUT_BYTES, verify
from worker.tools import Verify


def pay(euros: int, to: str = "Ada") -> str:
    """Pay."""
    return "paid"


def paying(check: Verify | None, **options: Any) -> Tool:
    return tool(effect="irreversible", verify=check, **options)(pay)


async def said(check: Callable[..., Any] | None, given: dict[str, Any] | None = None, **options: Any) -> object:
    call = ToolCall(1, "x", "pay", given or {"euros": "5"}, started=True)
    return await verify(paying(check, **options), call, "job/1/x")


@pytest.mark.parametrize("answer", [True, False, None, "paid 5 to Ada", ""])
async def test_it_says_what_the_function_says(answer: bool | str | None) -> None:
    async def check(idempotency_key: str) -> bool | str | None:
        assert idempotency_key == "job/1/x"
        return answer

    assert await said(check) == answer


async def test_it_may_be_sync_and_take_arguments_as_the_tool_would() -> None:
    def check(euros: int, idempotency_key: str, to: str) -> str:
        return f"{euros + 1} {to} {idempotency_key}"

    assert await said(check) == "6 Ada job/1/x"


async def test_a_tool_without_one_cannot_tell() -> None:
    assert await said(None) is None


@pytest.mark.parametrize("answer", [0, 1, "", [], {}])
async def test_what_is_neither_yes_nor_no_says_nothing(answer: object) -> None:
    def check(idempotency_key: str) -> Any:
        return answer

    assert await said(check) == ("" if answer == "" else None)


async def test_one_that_fails_or_takes_too_long_says_nothing() -> None:
    def broken(idempotency_key: str) -> bool:
        raise OSError("no bank")

    async def slow(idempotency_key: str) -> bool:
        await asyncio.Event().wait()
        return True

    def exits(idempotency_key: str) -> bool:
        raise SystemExit(3)

    async def cancels(idempotency_key: str) -> bool:
        raise asyncio.CancelledError

    assert await said(broken) is None
    assert await said(slow, timeout=0.02) is None
    assert await said(exits) is None
    assert await said(cancels) is None


async def test_arguments_that_do_not_fit_any_more_say_nothing() -> None:
    def check(idempotency_key: str, euros: int) -> bool:
        return True

    assert await said(check, {"dollars": 5}) is None


async def test_a_long_text_is_cut() -> None:
    def check(idempotency_key: str) -> str:
        return "x" * (MAX_OUTPUT_BYTES + 1)

    assert "[cut off here:" in str(await said(check))


def without_key(euros: int) -> bool:
    return True


def with_more(idempotency_key: str, dollars: int) -> bool:
    return True


@pytest.mark.parametrize("check", [without_key, with_more])
def test_it_takes_the_key_and_what_the_tool_takes(check: Verify) -> None:
    with pytest.raises(TypeError, match="tool pay: verify takes idempotency_key"):
        paying(check)


def test_what_may_run_again_needs_none() -> None:
    with pytest.raises(TypeError, match="idempotent tools simply run again"):
        tool(effect="idempotent", verify=lambda idempotency_key: True)(pay)
