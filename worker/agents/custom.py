"""Custom agents: a function of the author's own in place of the loop (docs/custom-agents.md)."""

import hashlib
import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, get_type_hints

from worker.agents.agent import Agent, Budget, Retry
from worker.agents.job_input import InputForm
from worker.context import Context

AgentFunction = Callable[[Context, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomAgent(Agent):
    """An agent whose loop is `function(context, input)`: run from its top with each attempt, and given what is recorded
    already. It says to each model call by itself what the system prompt and the tools are."""

    kind: ClassVar[str] = "custom"
    function: AgentFunction
    input_form: InputForm

    @property
    def form(self) -> InputForm:
        return self.input_form

    @property
    def version(self) -> str:
        """Changes with the file that the function is in, and with what the decorator says."""
        said = [self.chain, self.max_output_tokens, asdict(self.budget), self.form.schema(), _source(self.function)]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def agent(
    *,
    name: str,
    chain: str = "default",
    max_output_tokens: int = 4096,
    budget: Budget | None = None,
    retry: Retry | None = None,
) -> Callable[[AgentFunction], CustomAgent]:
    """Makes `async def run(context, input)` an agent. Its docstring is what callers read about it, the type of `input`
    what they may send: `str`, `list[dict[str, Any]]` for messages, either, or a pydantic model.

    Raises TypeError or ValueError at import when the declaration cannot work.
    """

    def declare(function: AgentFunction) -> CustomAgent:
        return CustomAgent(
            name=name,
            system="",
            chain=chain,
            max_output_tokens=max_output_tokens,
            budget=budget or Budget(),
            retry=retry or Retry(),
            max_repeats=None,  # its calls need not be one conversation
            description=(inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " "),
            function=function,
            input_form=_form(name, function),
        )

    return declare


def _form(name: str, function: AgentFunction) -> InputForm:
    parameters = list(inspect.signature(function).parameters)
    if not inspect.iscoroutinefunction(function) or len(parameters) != 2:
        raise TypeError(f"agent {name}: decorate an `async def run(context, input)`")
    try:
        return InputForm.of(get_type_hints(function).get(parameters[1], Any))
    except TypeError as error:
        raise TypeError(f"agent {name}: {error}") from error


def _source(function: AgentFunction) -> str:
    """The text of the file that the function is in; where there is none, of what was compiled of it."""
    try:
        return inspect.getsource(sys.modules[function.__module__])
    except (OSError, TypeError, KeyError):
        code = function.__code__
        return f"{code.co_code.hex()} {code.co_consts!r}"
