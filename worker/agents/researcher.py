"""researcher: a real multi-turn tool loop over three safe tools: a clock, a calculator and a notes scratchpad."""

import ast
import operator
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.clock import wall_clock
from worker.agents.agent import Agent
from worker.tools import ToolContext, tool

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_LONGEST_EXPRESSION = 200
_LARGEST_EXPONENT = 64
_LARGEST_NUMBER = 10**60


@tool(effect="read", timeout=5)
def clock(timezone: str = "UTC") -> str:
    """Tell the current date and time in a time zone such as "UTC" or "Europe/Berlin"."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"there is no time zone {timezone!r}") from error
    return wall_clock(zone).isoformat(timespec="seconds")


@tool(effect="read", timeout=5)
def calculator(expression: str) -> str:
    """Work out an arithmetic expression such as "(3 + 4) * 2 ** 5". Operators: + - * / // % **."""
    if len(expression) > _LONGEST_EXPRESSION:
        raise ValueError(f"the expression is longer than {_LONGEST_EXPRESSION} characters")
    try:
        parsed = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is not an arithmetic expression") from error
    return str(_evaluate(parsed.body))


def _evaluate(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return _bounded(node.value)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluate(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _evaluate(node.left), _evaluate(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > _LARGEST_EXPONENT:
            raise ValueError(f"an exponent may be {_LARGEST_EXPONENT} at most")
        return _bounded(_OPERATORS[type(node.op)](left, right))
    raise ValueError("only numbers and + - * / // % ** are understood")


def _bounded(number: float) -> float:
    if isinstance(number, complex) or abs(number) > _LARGEST_NUMBER:
        raise ValueError("the numbers get too large")
    return number


@tool(effect="idempotent")
async def write_note(title: str, text: str, context: ToolContext) -> str:
    """Keep a note under a title, over an earlier one of the same title."""
    if len(title) > 200 or len(text) > 10_000:
        raise ValueError("a title may have 200 characters, a text 10,000")
    kept = await context.notes.write(title, text)
    return f"Noted under {title!r}." if kept else "There are too many notes; write over an old one."


@tool(effect="read")
async def read_notes(context: ToolContext) -> dict[str, str]:
    """Read all notes that were kept, by title."""
    return await context.notes.read()


researcher = Agent(
    name="researcher",
    description="Works a question out step by step with a clock, a calculator and notes.",
    system=(
        "You are a careful researcher. Use the calculator for every calculation and the clock for every date, "
        "keep what you find as notes, and finish with a short answer that names your findings."
    ),
    tools=[clock, calculator, write_note, read_notes],
)
