"""The declaration of an agent: a system prompt, tools, a chain of targets and limits."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from shared.catalogue import AgentEntry
from shared.usage import dollars, from_dollars
from worker.agents.job_input import ANY_INPUT, InputForm
from worker.mcp.declaration import McpServer
from worker.tools import Tool

_LEAST_COST = Decimal("0.000001")  # what is shown of money
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a job of this agent may use, unless its caller asks for less. None is no limit."""

    max_turns: int | None = 20
    max_tokens: int | None = None
    max_cost_usd: str | None = None
    max_seconds: int | None = 3600

    def __post_init__(self) -> None:
        for name in ("max_turns", "max_tokens", "max_seconds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"budget.{name} must be at least 1, not {value}")
        if self.max_cost_usd is not None and not isinstance(self.max_cost_usd, str):
            raise ValueError(f'budget.max_cost_usd must be dollars as a text such as "0.50", not {self.max_cost_usd!r}')
        if self.max_cost_usd is not None:
            try:
                cost = Decimal(self.max_cost_usd)
            except InvalidOperation:
                cost = Decimal(0)
            if not cost.is_finite() or cost < _LEAST_COST:
                raise ValueError(
                    f'budget.max_cost_usd must be dollars as a text such as "0.50", not {self.max_cost_usd!r}'
                )


@dataclass(frozen=True, slots=True)
class Retry:
    """What becomes of a job when the agent's own code raises: it goes on from its last turn after a pause that doubles
    from `base_seconds` to `cap_seconds`, up to a fifth longer, and fails after so many attempts in all. A failing tool
    is no such error, nor is a provider that is down."""

    attempts: int = 3
    base_seconds: float = 2
    cap_seconds: float = 60

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 < self.base_seconds <= self.cap_seconds:
            raise ValueError("retry takes attempts from 1 and 0 < base_seconds <= cap_seconds")


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. Raises ValueError at import when the declaration cannot work."""

    name: str
    system: str
    tools: Sequence[Tool] = ()
    chain: str = "default"
    max_output_tokens: int = 4096
    budget: Budget = field(default_factory=Budget)
    retry: Retry = field(default_factory=Retry)
    max_repeats: int | None = 5
    """So many turns in a row with the same calls, of which nothing new comes, end the job, and four times as many
    whatever comes of them (`worker.loop_guard`)."""
    description: str = ""
    mcp: Sequence[McpServer] = ()
    mcp_tools: Sequence[Tool] = ()
    """What those servers offer: for the worker to fill in (`worker.mcp.toolbox`)."""

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"agent name {self.name!r}: use lower case letters, digits, - and _, at most 64")
        if not isinstance(self.budget, Budget):
            raise ValueError(f"agent {self.name}: budget takes a Budget(…), not {self.budget!r}")
        if not isinstance(self.retry, Retry):
            raise ValueError(f"agent {self.name}: retry takes a Retry(…), not {self.retry!r}")
        if self.max_output_tokens < 1:
            raise ValueError(f"agent {self.name}: max_output_tokens must be at least 1")
        if self.max_repeats is not None and self.max_repeats < 2:
            raise ValueError(f"agent {self.name}: max_repeats must be at least 2, or None")
        strange = [tool for tool in self.tools if not isinstance(tool, Tool)]
        if strange:
            raise ValueError(f"agent {self.name}: {_named(strange[0])} is not a tool; decorate it with @tool(effect=…)")
        unknown = [server for server in self.mcp if not isinstance(server, McpServer)]
        if unknown:
            raise ValueError(f"agent {self.name}: mcp takes McpServer(…), not {_named(unknown[0])}")
        if server := _twice([server.name for server in self.mcp]):
            raise ValueError(f"agent {self.name} names two MCP servers {server!r}")
        if tool := _twice([tool.name for tool in self.all_tools]):
            raise ValueError(f"agent {self.name} has two tools of the same name: {tool}")

    kind: ClassVar[str] = "declared"

    @property
    def form(self) -> InputForm:
        """What its jobs may bring as `input`."""
        return ANY_INPUT

    @property
    def all_tools(self) -> list[Tool]:
        return [*self.tools, *self.mcp_tools]

    @property
    def tools_by_name(self) -> dict[str, Tool]:
        return {tool.name: tool for tool in self.all_tools}

    def tool_schemas(self) -> list[dict[str, Any]]:
        return [tool.schema() for tool in self.all_tools]

    @property
    def version(self) -> str:
        """Changes whenever the declaration does; of an approval rule only that there is one counts. What MCP servers
        offer is no part of it: two workers may have read that at different times."""
        rules = [[tool.effect, _rule(tool), tool.timeout] for tool in self.tools]
        budget = asdict(self.budget)
        limits = [self.max_output_tokens, budget, self.max_repeats]
        schemas = [tool.schema() for tool in self.tools]
        declared = [self.system, schemas, rules, self.chain, *limits, *(server.declared() for server in self.mcp)]
        return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:12]

    def entry(self) -> AgentEntry:
        """The agent as the catalogue shows it."""
        budget = self.budget
        cost_nano = from_dollars(budget.max_cost_usd) if budget.max_cost_usd else None
        return AgentEntry(
            name=self.name,
            version=self.version,
            description=self.description,
            chain=self.chain,
            tools=[
                tool.schema() | {"effect": tool.effect, "approval": _rule(tool), "timeout_seconds": tool.timeout}
                for tool in self.all_tools
            ],
            budget={
                "max_turns": budget.max_turns,
                "max_tokens": budget.max_tokens,
                "max_cost_usd": dollars(cost_nano) if cost_nano else None,
                "max_seconds": budget.max_seconds,
            },
            kind=self.kind,
            input_schema=self.form.schema(),
        )


def _rule(tool: Tool) -> str:
    """A function has no text of its own that would be the same in another process."""
    return "rule" if callable(tool.approval) else tool.approval


def _twice(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _named(thing: object) -> str:
    return str(getattr(thing, "__name__", repr(thing)))
