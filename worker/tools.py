"""Tools: functions that a model may call, declared by their type hints and docstring."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model
from structlog.typing import FilteringBoundLogger

from shared.scratchpad import Scratchpad

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

ApprovalRule = Callable[[dict[str, Any]], bool]
Approval = Literal["never", "always"] | ApprovalRule
Verify = Callable[..., bool | str | None] | Callable[..., Awaitable[bool | str | None]]
"""Whether the call under this `idempotency_key` has happened; may take arguments of the tool, too, by their names. True
or a text (what the tool would have said): it has. False: it has not, and will not any more. None: nobody can tell."""


class Effect(StrEnum):
    """What a call does to the world, and so what may be done when a crash hides whether it ran."""

    READ = "read"
    """Changes nothing: may run again, and beside others."""
    IDEMPOTENT = "idempotent"
    """Twice with the same idempotency key is the same as once: may run again."""
    COMPENSABLE = "compensable"
    """Can be undone by a person: never runs again blindly."""
    IRREVERSIBLE = "irreversible"
    """Cannot be undone: never runs again blindly."""

    @property
    def repeatable(self) -> bool:
        return self in (Effect.READ, Effect.IDEMPOTENT)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Given to a tool that has a parameter `context: ToolContext` (that name and type)."""

    idempotency_key: str
    """The same for every attempt at this very call; give it to whatever the tool calls."""
    tenant: str
    job_id: str
    session_id: str | None
    notes: Scratchpad
    logger: FilteringBoundLogger


class ToolFailed(Exception):
    """Raised by a tool whose message is for the model as it is."""


class Unanswered(ToolFailed):
    """The call was made and no answer came, or none that can be read: it may have happened."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A declared tool. `timeout` in seconds; a sync function runs in a thread and cannot be interrupted there."""

    name: str
    description: str
    parameters: type[BaseModel]
    function: Callable[..., Any] | Callable[..., Awaitable[Any]]
    effect: Effect
    approval: Approval
    timeout: float
    takes_context: bool
    is_async: bool
    verify: Verify | None = None
    """Asked when a call that must not run twice was begun and has no receipt; what it cannot tell, a person does."""

    def schema(self) -> dict[str, Any]:
        """The tool as the Messages API takes it."""
        parameters = self.parameters.model_json_schema()
        parameters.pop("title", None)
        return {"name": self.name, "description": self.description, "input_schema": parameters}

    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the model gave, as the function takes it: converted, with defaults. Raises ValidationError."""
        checked = self.parameters.model_validate(given)
        return {name: getattr(checked, name) for name in type(checked).model_fields}

    def bound(self, arguments: dict[str, Any], context: ToolContext) -> Callable[[], Any]:
        """The call, to be made without arguments."""
        return partial(self.function, **arguments, **({"context": context} if self.takes_context else {}))

    def needs_approval(self, arguments: dict[str, Any]) -> bool:
        """`arguments` as the function takes them, so that a rule decides on what would really be done."""
        if callable(self.approval):
            return self.approval(arguments)
        return self.approval == "always"


def tool(
    *,
    effect: Literal["read", "idempotent", "compensable", "irreversible"],
    approval: Approval = "never",
    timeout: float = 60.0,
    verify: Verify | None = None,
) -> Callable[[Callable[..., Any]], Tool]:
    """Makes a function a tool: its name, docstring and type hints are what the model sees.

    `verify` tells of an irreversible or compensable call whether it has happened: see Verify.
    Raises TypeError at import when the function has no docstring or a parameter that a model cannot give.
    """

    if effect not in tuple(Effect):
        raise TypeError(f"effect must be one of {', '.join(Effect)}, not {effect!r}")
    if inspect.iscoroutinefunction(approval) or not (callable(approval) or approval in ("never", "always")):
        raise TypeError("approval must be 'never', 'always', or a plain function of the arguments (no async)")

    def declare(function: Callable[..., Any]) -> Tool:
        name = function.__name__
        description = inspect.getdoc(function)
        if not description:
            raise TypeError(f"tool {name} needs a docstring: it is what the model reads")
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {}
        takes_context = False
        for parameter in inspect.signature(function).parameters.values():
            if hints.get(parameter.name) is ToolContext:
                if parameter.name != "context":
                    raise TypeError(f"tool {name}: the parameter of type ToolContext must be called context")
                takes_context = True
                continue
            if parameter.name not in hints:
                raise TypeError(f"tool {name}: parameter {parameter.name} needs a type")
            if parameter.kind not in _BY_NAME:
                raise TypeError(f"tool {name}: parameter {parameter.name} cannot be given by its name")
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
        return Tool(
            name=name,
            description=description,
            parameters=create_model(name, __config__=ConfigDict(extra="forbid"), **fields),
            function=function,
            effect=Effect(effect),
            approval=approval,
            timeout=timeout,
            takes_context=takes_context,
            is_async=inspect.iscoroutinefunction(function),
            verify=_checked(verify, name, effect, fields) if verify else None,
        )

    return declare


def _checked(verify: Verify, name: str, effect: str, fields: dict[str, Any]) -> Verify:
    """The function, if it can be asked what it will be."""
    if Effect(effect).repeatable:
        raise TypeError(f"tool {name}: verify is for what must not run twice; {effect} tools simply run again")
    takes = set(inspect.signature(verify).parameters)
    if "idempotency_key" not in takes or takes - {"idempotency_key", *fields}:
        raise TypeError(f"tool {name}: verify takes idempotency_key, and parameters of the tool by their names")
    return verify
