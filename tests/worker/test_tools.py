"""Tools: what the model sees of a function, what is checked before it runs, and what the model is told after."""

import asyncio
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from shared import log
from shared.journal import to_json
from shared.scratchpad import Scratchpad
from shared.turn import ResultRecord, ToolCall
from tests.waiting import until
from worker.agents import Tool, ToolContext, tool
from worker.next_step import Step, next_step
from worker.tool_runner import MAX_OUTPUT_BYTES, ToolOutcome, refusal, run_tool


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str
    number: int = 1


def declared(function: Callable[..., Any], **options: Any) -> Tool:
    return tool(**{"effect": "read", **options})(function)


def properties(made: Tool) -> dict[str, Any]:
    found: dict[str, Any] = made.schema()["input_schema"]["properties"]
    return found


async def outcome(made: Tool, **given: Any) -> ToolOutcome:
    notes = Scratchpad(None, tenant="t", session_id=None, job_id="j")  # type: ignore[arg-type]
    context = ToolContext("j/1/x", "t", "j", None, notes, log.get("test"))
    return await run_tool(made, ToolCall(1, "x", made.name, given, started=False), context)


# What the model sees


def test_name_description_and_input_come_from_the_function() -> None:
    @tool(effect="read")
    async def find(text: str, limit: int = 10) -> str:
        """Find a text.

        Longer words help.
        """

    assert find.schema() == {
        "name": "find",
        "description": "Find a text.\n\nLonger words help.",
        "input_schema": {
            "type": "object",
            "properties": {
                "text": {"title": "Text", "type": "string"},
                "limit": {"title": "Limit", "type": "integer", "default": 10},
            },
            "required": ["text"],
            "additionalProperties": False,
        },
    }


def test_hints_become_json_schema() -> None:
    @tool(effect="read")
    def rich(
        about: Annotated[str, Field(description="What it is about", max_length=9)],
        colour: Colour,
        where: Address,
        kind: Literal["a", "b"] = "a",
        maybe: int | None = None,
        words: list[str] | None = None,
        more: dict[str, float] | None = None,
        *,
        last: bool = False,
    ) -> str:
        """Take all sorts."""

    schema = rich.schema()["input_schema"]
    seen = schema["properties"]
    assert seen["about"] == {"title": "About", "type": "string", "description": "What it is about", "maxLength": 9}
    assert schema["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert schema["$defs"]["Address"]["required"] == ["street"]
    assert seen["kind"]["enum"] == ["a", "b"]
    assert seen["maybe"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert seen["words"]["anyOf"][0] == {"type": "array", "items": {"type": "string"}}
    assert seen["last"] == {"title": "Last", "type": "boolean", "default": False}
    assert schema["required"] == ["about", "colour", "where"]


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    @tool(effect="read")
    def ping() -> str:
        """Ping."""
        return "pong"

    assert ping.schema()["input_schema"] == {"type": "object", "properties": {}, "additionalProperties": False}


def test_the_context_is_not_for_the_model_to_give() -> None:
    @tool(effect="read")
    async def who(name: str, context: ToolContext) -> str:
        """Say who."""

    assert list(properties(who)) == ["name"]
    assert who.takes_context


def test_a_parameter_that_is_only_called_context_is_an_ordinary_one() -> None:
    @tool(effect="read")
    def sum_up(context: str) -> str:
        """Sum a text up."""

    assert list(properties(sum_up)) == ["context"]
    assert not sum_up.takes_context


# Mistakes at import


def silent(x: int) -> str:
    return str(x)


def untyped(x) -> str:  # type: ignore[no-untyped-def]
    """Take anything."""
    return str(x)


def many(*words: str) -> str:
    """Take many."""
    return " ".join(words)


def keywords(**words: str) -> str:
    """Take any."""
    return " ".join(words)


def positional(x: int, /) -> str:
    """Take one."""
    return str(x)


def misnamed(ctx: ToolContext) -> str:
    """Take a context."""
    return ctx.job_id


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (silent, "tool silent needs a docstring"),
        (untyped, "tool untyped: parameter x needs a type"),
        (many, "tool many: parameter words cannot be given by its name"),
        (keywords, "tool keywords: parameter words cannot be given by its name"),
        (positional, "tool positional: parameter x cannot be given by its name"),
        (misnamed, "tool misnamed: the parameter of type ToolContext must be called context"),
    ],
)
def test_a_function_that_a_model_could_not_call_is_refused_at_import(
    function: Callable[..., Any], complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        declared(function)


def test_an_effect_there_is_not_is_refused_at_import() -> None:
    with pytest.raises(TypeError, match=r"one of read, idempotent.*harmless"):
        declared(add, effect="harmless")


# Running


async def test_a_sync_tool_runs_in_a_thread() -> None:
    def where() -> str:
        """Say in which thread."""
        return str(threading.get_ident())

    told = await outcome(declared(where))
    assert told.content != str(threading.get_ident())
    assert not told.is_error


async def test_a_tool_gets_what_its_hints_say() -> None:
    seen: list[Any] = []

    async def take(colour: Colour, where: Address, number: int = 7, words: tuple[str, ...] = ()) -> str:
        """Take."""
        seen.extend([colour, where, number, words])
        return "taken"

    told = await outcome(declared(take), colour="red", where={"street": "Main"}, words=["a"])

    assert told == ToolOutcome("taken", is_error=False, milliseconds=told.milliseconds)
    assert seen == [Colour.RED, Address(street="Main"), 7, ("a",)]


async def test_a_field_may_have_another_name_for_the_model() -> None:
    def mail(sender: Annotated[str, Field(alias="from")]) -> str:
        """Mail."""
        return sender

    assert (await outcome(declared(mail), **{"from": "Ada"})).content == "Ada"


async def test_the_context_names_the_call() -> None:
    async def who(context: ToolContext) -> str:
        """Say who."""
        return f"{context.tenant} {context.job_id} {context.idempotency_key}"

    assert (await outcome(declared(who))).content == "t j j/1/x"


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("plain", "plain"),
        ("", ""),
        (None, "null"),
        (1.5, "1.5"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Address(street="Main"), '{"street":"Main","number":1}'),
        ([Colour.RED], '["red"]'),
        ({"é": "ü"}, '{"é":"ü"}'),
    ],
)
async def test_results_that_are_no_text_are_told_as_json(result: Any, told: str) -> None:
    def give() -> Any:
        """Give."""
        return result

    assert (await outcome(declared(give))).content == told


async def test_a_huge_output_is_cut_with_a_note() -> None:
    def much() -> str:
        """Say much."""
        return "x" * (MAX_OUTPUT_BYTES + 1)

    told = (await outcome(declared(much))).content
    assert told == "x" * MAX_OUTPUT_BYTES + "\n[cut off here: these are 30,000 of 30,001 bytes]"


async def test_an_output_at_the_limit_is_whole() -> None:
    def much() -> str:
        """Say much."""
        return "x" * MAX_OUTPUT_BYTES

    assert (await outcome(declared(much))).content == "x" * MAX_OUTPUT_BYTES


@pytest.mark.parametrize("character", ["é", "天", "🙂"])
async def test_characters_of_many_bytes_are_cut_between_them(character: str) -> None:
    def much() -> str:
        """Say much."""
        return "." + character * MAX_OUTPUT_BYTES

    told, note = (await outcome(declared(much))).content.split("\n")
    assert set(told[1:]) == {character}
    assert MAX_OUTPUT_BYTES - 4 < len(told.encode()) <= MAX_OUTPUT_BYTES
    assert note.startswith(f"[cut off here: these are {len(told.encode()):,} of ")


async def test_what_is_left_of_json_says_that_it_is_none() -> None:
    def much() -> list[str]:
        """Say much."""
        return ["Zürich"] * 10_000

    told = (await outcome(declared(much))).content
    assert told.startswith('["Zürich","Zürich",')
    assert told.endswith(" of 100,001 bytes]")
    assert len(told.encode()) < MAX_OUTPUT_BYTES + 100


async def test_a_huge_error_is_cut_too() -> None:
    def fail() -> str:
        """Fail."""
        raise ValueError("x" * 10**6)

    assert len((await outcome(declared(fail))).content) < MAX_OUTPUT_BYTES + 100


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_tool_that_takes_too_long_is_given_up(is_async: bool) -> None:
    released = threading.Event()

    async def late() -> str:
        """Be late."""
        await asyncio.Event().wait()

    def late_in_thread() -> str:
        """Be late."""
        released.wait(20)

    try:
        told = await outcome(declared(late if is_async else late_in_thread, timeout=0.05))
    finally:
        released.set()

    assert told.is_error
    assert told.content == "The tool did not answer within 0.05 seconds."
    assert told.milliseconds >= 50


async def test_a_timeout_inside_the_tool_is_its_own_error() -> None:
    async def ask() -> str:
        """Ask the database."""
        raise TimeoutError("the database is slow")

    assert (await outcome(declared(ask))).content == "TimeoutError: the database is slow"


class Odd(Exception):
    def __str__(self) -> str:
        return "odd"


class Stop(BaseException):
    """No Exception, as those of some libraries are not."""


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("bad"), KeyError("k"), Odd(), StopIteration(), RecursionError("deep")),
        *(SystemExit(3), KeyboardInterrupt(), Stop("no more")),
    ],
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_whatever_a_tool_raises_is_told_to_the_model(error: BaseException, is_async: bool) -> None:
    async def fail() -> str:
        """Fail."""
        raise error

    def fail_in_thread() -> str:
        """Fail."""
        raise error

    told = await outcome(declared(fail if is_async else fail_in_thread, timeout=10))

    assert told.is_error
    assert "did not answer" not in told.content
    assert type(error).__name__ in told.content


async def test_a_tool_that_is_cancelled_from_within_does_not_stop_the_job() -> None:
    async def give_up() -> str:
        """Wait for a task that is cancelled."""
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    told = await outcome(declared(give_up))
    assert told.is_error
    assert "cancelled" in told.content


async def test_a_job_that_is_cancelled_stops_its_tool() -> None:
    stopped: list[bool] = []

    async def wait() -> str:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    task = asyncio.create_task(outcome(declared(wait)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == [True]


async def test_a_result_that_cannot_be_told_is_an_error() -> None:
    def read() -> bytes:
        """Give bytes that are no text."""
        return b"\xff\xfe"

    told = await outcome(declared(read))
    assert told.is_error
    assert "It has run" in told.content, "who thinks that it has not would do it again"


@given(text=st.text(st.characters(), max_size=20))
def test_any_text_can_be_kept_in_the_journal(text: str) -> None:
    """Text from Python may hold half of a surrogate pair (a strange file name does), which is no UTF-8."""

    async def say() -> str:
        """Say."""
        return text

    told = asyncio.run(outcome(declared(say)))
    to_json(ResultRecord(1, "x", "say", told.content, told.is_error, 1)).encode()


async def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    def name() -> str:
        """Give a file name that is no UTF-8."""
        return b"caf\xe9".decode(errors="surrogateescape")

    assert (await outcome(declared(name))).content == "caf?"


# Input that does not fit


def add(a: int, b: int = 0, where: Address | None = None) -> int:
    """Add."""
    return a + b


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "The input does not fit the tool: a: Field required."),
        (
            {"a": "x"},
            "The input does not fit the tool: "
            "a: Input should be a valid integer, unable to parse string as an integer.",
        ),
        ({"a": 1, "c": 2}, "The input does not fit the tool: c: Extra inputs are not permitted."),
        ({"a": 1, "where": {}}, "The input does not fit the tool: where.street: Field required."),
        (
            {"b": None},
            "The input does not fit the tool: a: Field required; b: Input should be a valid integer.",
        ),
    ],
)
async def test_input_that_does_not_fit_is_told_field_by_field(given: dict[str, Any], complaint: str) -> None:
    made = declared(add)
    assert await outcome(made, **given) == ToolOutcome(complaint, is_error=True)
    assert refusal({"add": made}, ToolCall(1, "x", "add", given, started=False)) == ToolOutcome(complaint, True)


def test_a_complaint_does_not_repeat_the_input() -> None:
    told = refusal({"add": declared(add)}, ToolCall(1, "x", "add", {"a": "secret"}, started=False))
    assert told is not None
    assert "secret" not in told.content


# Approval


def pay(euros: int, force: bool = False) -> str:
    """Pay."""
    return f"paid {euros}"


def may_run(made: Tool, **given: Any) -> bool:
    return next_step({made.name: made}, ToolCall(1, "x", made.name, given, started=False)) is Step.RUN


async def later(_arguments: dict[str, Any]) -> bool:
    return False


@pytest.mark.parametrize("approval", [later, "sometimes", None])
def test_an_approval_that_cannot_be_asked_is_refused_at_import(approval: Any) -> None:
    with pytest.raises(TypeError, match="approval must be 'never', 'always', or a plain function"):
        tool(effect="irreversible", approval=approval)


def test_approval_is_never_always_or_by_the_arguments() -> None:
    assert may_run(declared(pay), euros=10**6)
    assert not may_run(declared(pay, approval="always"), euros=1)
    by_amount = declared(pay, approval=lambda given: given["euros"] > 100)
    assert may_run(by_amount, euros=100)
    assert not may_run(by_amount, euros=101)


@pytest.mark.parametrize("given", [{"euros": "101"}, {"euros": 101.0}, {"euros": 1, "force": "yes"}])
def test_a_rule_decides_on_what_the_tool_would_get(given: dict[str, Any]) -> None:
    """Not on the model's words: "101" is a number to the tool, and "yes" is true."""
    rule = declared(pay, approval=lambda given: given["euros"] > 100 or given["force"] is True)
    assert not may_run(rule, **given)


def test_a_rule_sees_the_defaults() -> None:
    assert may_run(declared(pay, approval=lambda given: given["force"]), euros=1)


@pytest.mark.parametrize("error", [KeyError("limit"), SystemExit(3)])
def test_a_rule_that_fails_has_not_approved(error: BaseException) -> None:
    def broken(given: dict[str, Any]) -> bool:
        raise error

    assert not may_run(declared(pay, approval=broken), euros=1)


def test_nobody_is_asked_about_input_that_does_not_fit() -> None:
    told = next_step({"pay": declared(pay, approval="always")}, ToolCall(1, "x", "pay", {}, started=False))
    assert isinstance(told, ToolOutcome)
    assert "euros: Field required" in told.content


async def test_a_thread_that_is_given_up_still_ends() -> None:
    """A sync tool cannot be interrupted; its late answer goes nowhere and hurts nobody."""
    ended = threading.Event()
    released = threading.Event()

    def late() -> str:
        """Be late."""
        released.wait(20)
        ended.set()
        return "late"

    assert (await outcome(declared(late, timeout=0.02))).is_error
    released.set()
    await until(ended.is_set)
