"""Agents: what a declaration may say, how the registry finds them, and the tools of the shipped ones."""

import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import log
from shared.errors import SettingsError
from shared.sections import Chain
from shared.turn import ToolCall
from worker.agents import Agent, Budget, Tool, ToolContext, registry, tool
from worker.agents.researcher import calculator, clock, researcher
from worker.tool_runner import ToolOutcome, run_tool

CHAINS = {"default": Chain(targets=["default"])}


@tool(effect="read")
def look(at: str = "sky") -> str:
    """Look."""
    return at


# Declarations


@pytest.mark.parametrize("name", ["", "Upper", "a b", "-a", "ä", "a" * 65, "a\n"])
def test_a_name_that_cannot_stand_in_a_url_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="agent name"):
        Agent(name=name, system="")


@pytest.mark.parametrize("name", ["a", "0", "invoice-agent_2", "a" * 64])
def test_a_plain_name_is_good(name: str) -> None:
    assert Agent(name=name, system="").name == name


def test_an_agent_must_be_able_to_say_something() -> None:
    with pytest.raises(ValueError, match="max_output_tokens must be at least 1"):
        Agent(name="a", system="", max_output_tokens=0)


def test_a_function_that_was_not_decorated_is_no_tool() -> None:
    def plain() -> str:
        """Plain."""
        return ""

    with pytest.raises(ValueError, match=r"is not a tool; decorate it with @tool"):
        Agent(name="a", system="", tools=[plain])  # type: ignore[list-item]


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="agent a has two tools of the same name"):
        Agent(name="a", system="", tools=[look, look])


@pytest.mark.parametrize("limit", ["max_turns", "max_tokens", "max_seconds"])
def test_a_limit_is_at_least_one_or_none(limit: str) -> None:
    with pytest.raises(ValueError, match=f"budget.{limit} must be at least 1, not 0"):
        Budget(**{limit: 0})
    assert getattr(Budget(**{limit: None}), limit) is None


@pytest.mark.parametrize("money", ["0", "-1", "free", "", "NaN", "Infinity", "0.0000001", "$1"])
def test_money_is_a_positive_decimal_text(money: str) -> None:
    with pytest.raises(ValueError, match=r"budget.max_cost_usd must be dollars as a text"):
        Budget(max_cost_usd=money)


def test_the_catalogue_entry_says_what_a_caller_needs() -> None:
    agent = Agent(name="a", system="secret", tools=[look], description="Looks.", budget=Budget(max_cost_usd="0.5"))

    entry = agent.entry()

    (shown,) = entry.tools
    assert shown.pop("input_schema")["properties"] == {"at": {"default": "sky", "title": "At", "type": "string"}}
    assert shown == {
        "name": "look",
        "description": "Look.",
        "effect": "read",
        "approval": "never",
        "timeout_seconds": 60.0,
    }
    assert entry.kind == "declared"
    assert [one["type"] for one in entry.input_schema["anyOf"]] == ["string", "array"]
    assert entry.budget == {"max_turns": 20, "max_tokens": None, "max_cost_usd": "0.500000", "max_seconds": 3600}
    assert (entry.name, entry.description, entry.chain) == ("a", "Looks.", "default")
    assert "secret" not in str(entry)


def variant(**changes: Any) -> Agent:
    return Agent(**{"name": "a", "system": "s", "tools": [look], **changes})


def retooled(**options: Any) -> Tool:
    return tool(**{"effect": "read", **options})(look.function)


def wider(at: str = "sky", closely: bool = False) -> str:
    """Look."""
    return at


wider.__name__ = "look"


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "t"},
        {"tools": []},
        {"tools": [tool(effect="read")(wider)]},
        {"tools": [retooled(effect="irreversible")]},
        {"tools": [retooled(approval="always")]},
        {"tools": [retooled(timeout=1)]},
        {"chain": "other"},
        {"max_output_tokens": 1},
        {"budget": Budget(max_turns=1)},
    ],
)
def test_the_version_changes_with_the_declaration(changes: dict[str, Any]) -> None:
    assert variant(**changes).version != variant().version


def test_the_version_is_the_same_in_every_process() -> None:
    assert variant().version == variant().version
    assert re.fullmatch("[0-9a-f]{12}", variant().version)


def test_two_rules_of_approval_are_one_version() -> None:
    """A function has no text of its own that would be the same in another process."""
    first, second = (variant(tools=[retooled(approval=lambda given: True)]) for _ in range(2))
    assert first.version == second.version


# The registry


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Writes a module that can be imported during the test; its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def declaration(name: str, **fields: Any) -> str:
    more = "".join(f", {field}={value!r}" for field, value in fields.items())
    return f"from worker.agents import Agent\n{name} = Agent(name={name!r}, system=''{more})\n"


def mistakes(*modules: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        registry.load(modules, CHAINS)
    return caught.value.mistakes


def test_the_shipped_agents_are_always_there() -> None:
    assert list(registry.load([], CHAINS)) == ["assistant", "researcher"]


def test_agents_of_named_modules_are_found(write: Callable[[str, str], str]) -> None:
    found = registry.load([write("agents_of_mine", declaration("one") + declaration("two"))], CHAINS)
    assert list(found) == ["assistant", "researcher", "one", "two"]


def test_a_module_may_be_named_twice_and_an_agent_imported_by_another(write: Callable[[str, str], str]) -> None:
    first = write("agents_first", declaration("shared_one"))
    second = write("agents_second", "from agents_first import shared_one\n")
    assert "shared_one" in registry.load([first, first, second], CHAINS)


def test_all_mistakes_are_told_at_once(write: Callable[[str, str], str]) -> None:
    modules = [
        "agents_that_are_not_there",
        write("agents_broken", "x = 1\nraise RuntimeError('no database')\n"),
        write("agents_misspelt", "def f(:\n"),
        write("agents_none", "x = 1\n"),
        write("agents_twins", declaration("assistant")),
        write("agents_unchained", declaration("loner", chain="gold")),
        write("agents_invalid", declaration("Wrong Name").replace("Wrong Name =", "wrong =")),
    ]
    found = mistakes(*modules)

    assert len(found) == len(modules)
    missing, broken, misspelt, none, twins, unchained, invalid = found
    assert "agents_that_are_not_there cannot be imported: ModuleNotFoundError" in missing
    assert "agents_broken cannot be imported: RuntimeError: no database (" in broken
    assert broken.endswith("agents_broken.py:2)")
    assert "agents_misspelt cannot be imported: SyntaxError" in misspelt
    assert none == "worker.agents: agents_none holds no Agent"
    assert twins == "worker.agents: agents_twins declares 'assistant', which is declared elsewhere too"
    assert unchained == "agent loner: there is no chain 'gold'; there is default"
    assert "agent name 'Wrong Name'" in invalid


@pytest.mark.parametrize("name", ["", ".relative", "a b", "os..path"])
def test_what_is_no_module_name_is_a_mistake_too(name: str) -> None:
    assert len(mistakes(name)) == 1


# The researcher


def calculate(expression: str) -> str:
    return str(calculator.function(expression))


async def told(made: Tool, **given: Any) -> ToolOutcome:
    context = ToolContext("k", "t", "j", None, None, log.get("test"))  # type: ignore[arg-type]
    return await run_tool(made, ToolCall(1, "x", made.name, given, started=False), context)


numbers = st.one_of(
    st.integers(0, 10**9),
    st.floats(0, 1e9, allow_nan=False).map(lambda number: float(f"{number:.4f}")),
)
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
Sum = tuple[str, Any]
"""An expression and what Python makes of it; None where it divides by zero or leaves the bounds."""


def combined(left: Sum, sign: str, right: Sum) -> Sum:
    text = f"({left[0]} {sign} {right[0]})"
    if left[1] is None or right[1] is None:
        return text, None
    try:
        value = OPERATORS[sign](left[1], right[1])
    except ZeroDivisionError:
        return text, None
    return text, value if abs(value) <= 10**60 else None


def negated(inner: Sum) -> Sum:
    return f"-{inner[0]}", None if inner[1] is None else -inner[1]


leaves = numbers.map(lambda number: (repr(number), number))
sums = st.recursive(
    leaves,
    lambda inner: st.one_of(st.builds(combined, inner, st.sampled_from(list(OPERATORS)), inner), inner.map(negated)),
    max_leaves=8,
).filter(lambda one: len(one[0]) <= 200)


@given(one=sums)
def test_the_calculator_agrees_with_python(one: Sum) -> None:
    expression, expected = one
    if expected is None:
        with pytest.raises((ZeroDivisionError, ValueError)):
            calculate(expression)
    else:
        assert calculate(expression) == str(expected)


@given(base=st.integers(-9, 9), exponent=st.integers(-64, 64))
def test_small_powers_agree_with_python(base: int, exponent: int) -> None:
    expression = f"({base}) ** ({exponent})"
    if base == 0 and exponent < 0:
        with pytest.raises(ZeroDivisionError):
            calculate(expression)
    elif abs(base**exponent) > 10**60:
        with pytest.raises(ValueError, match="too large"):
            calculate(expression)
    else:
        assert calculate(expression) == str(base**exponent)


def test_precedence_is_pythons() -> None:
    assert calculate(" 2 + 3 * 4 ** 2 // -5 ") == str(2 + 3 * 4**2 // -5)


@pytest.mark.parametrize(
    "expression",
    [
        "a",
        "__import__('os').getcwd()",
        "abs(-1)",
        "(1).real",
        "[1, 2]",
        "'a' * 9",
        "True + 1",
        "1 if 1 else 2",
        "lambda: 1",
        "1 < 2",
        "1 and 2",
        "~1",
        "not 1",
        "1 @ 2",
        "1 << 2",
        "2j",
        "x := 1",
        "1; 2",
        "",
        "1 +",
        "\0",
        "...",
    ],
)
async def test_only_arithmetic_is_understood(expression: str) -> None:
    outcome = await told(calculator, expression=expression)
    assert outcome.is_error
    assert outcome.content.startswith("ValueError: ")


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9",
        "9 ** 65",
        "10.0 ** 64",
        "1e308 * 10",
        "1e400",
        "9" * 199,
        "*".join(["1" + "0" * 30] * 3),
        "(-8) ** 0.5",
        "2 ** -65",
    ],
)
async def test_numbers_stay_within_bounds(expression: str) -> None:
    outcome = await told(calculator, expression=expression)
    assert outcome.is_error
    assert outcome.content.startswith("ValueError: ")


@pytest.mark.parametrize("expression", ["1 / 0", "1 // 0", "1 % 0", "0 ** -1", "1.0 / 0"])
async def test_a_division_by_zero_is_told_and_no_crash(expression: str) -> None:
    outcome = await told(calculator, expression=expression)
    assert outcome.is_error
    assert outcome.content.startswith("ZeroDivisionError: ")


@pytest.mark.parametrize("expression", ["1" + "+1" * 100, "(" * 300, " " * 201])
async def test_a_long_expression_is_refused_unread(expression: str) -> None:
    assert (await told(calculator, expression=expression)).content == (
        "ValueError: the expression is longer than 200 characters"
    )


@pytest.mark.parametrize("expression", ["(" * 99 + "1" + ")" * 99, "-" * 199 + "1", "1" + "+1" * 99])
async def test_deep_nesting_is_an_answer_or_an_error(expression: str) -> None:
    outcome = await told(calculator, expression=expression)
    assert outcome.is_error or outcome.content in ("1", "-1", "100")


@given(expression=st.text(st.sampled_from("0123456789.+-*/%() eE_jx[]'\"~"), max_size=40))
def test_no_text_makes_the_calculator_do_anything_but_refuse(expression: str) -> None:
    try:
        answer = calculate(expression)
    except (ValueError, ArithmeticError):  # OverflowError: 1e60 ** 6
        return
    float(answer)


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("Asia/Tokyo", 9)])
async def test_the_clock_tells_the_time_of_a_zone(zone: str, hours: int) -> None:
    shown = datetime.fromisoformat((await told(clock, timezone=zone)).content)
    assert shown.utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "Europe", "/etc/localtime", "a" * 300, "a\0b"])
async def test_a_zone_there_is_not_is_told(zone: str) -> None:
    outcome = await told(clock, timezone=zone)
    assert outcome.is_error
    assert outcome.content == f"ValueError: there is no time zone {zone!r}"


def test_the_researcher_says_what_its_tools_do_to_the_world() -> None:
    assert {one.name: str(one.effect) for one in researcher.tools} == {
        "clock": "read",
        "calculator": "read",
        "write_note": "idempotent",
        "read_notes": "read",
    }
