"""What an agent says of an MCP server: how to reach it, and what its tools may do. Needs no package installed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from worker.tools import Approval, Effect

_NAME = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*\Z")
_LONGEST_NAME = 32
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HEADER = re.compile(r"[A-Za-z0-9-]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class McpTool:
    """What is true of one tool of a server; what is None is as the server's default says."""

    effect: str | None = None
    approval: Approval | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        _check(self.effect, self.approval, self.timeout)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is true of one tool, with the server's defaults."""

    effect: Effect
    approval: Approval
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """One server, reached by a `command` that speaks over its standard input and output, or by the `url` of one that
    speaks streamable HTTP. Raises ValueError at import when the declaration cannot work.

    A tool is taken to be irreversible and to need approval unless it is said otherwise here: what a server says of its
    own tools (`readOnlyHint` and the like) is not believed. Secrets are named, never written down: `env` holds names
    of variables that the command is given (beside PATH, HOME and the like), `headers_env` says of each HTTP header
    which variable holds its value.
    """

    name: str
    """Stands before the names of its tools: `files__read_file`."""
    command: Sequence[str] = field(default=(), repr=False)
    url: str | None = field(default=None, repr=False)
    env: Sequence[str] = ()
    headers_env: Mapping[str, str] = field(default_factory=dict)
    effect: str = Effect.IRREVERSIBLE
    approval: Approval = "always"
    timeout: float = 60.0
    """Of one call, in seconds."""
    connect_timeout: float = 30.0
    """Until a server that is started or connected to has told its tools, in seconds."""
    tools: Mapping[str, McpTool] = field(default_factory=dict)
    allow: Sequence[str] | None = None
    """The only tools that the model is shown; None is all of them."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name) or len(self.name) > _LONGEST_NAME:
            raise ValueError(
                f"MCP server name {self.name!r}: use lower case letters, digits, - and single _, "
                f"at most {_LONGEST_NAME}"
            )
        try:
            _check(self.effect, self.approval, self.timeout)
            self._check_address()
            self._check_names()
        except ValueError as error:
            raise ValueError(f"MCP server {self.name}: {error}") from None

    def _check_address(self) -> None:
        if bool(self.command) == bool(self.url):
            raise ValueError("give it either a command or a url")
        if isinstance(self.command, str) or not all(isinstance(word, str) for word in self.command):
            raise ValueError('command is a list of words: ["python", "-m", "my_server"]')
        if self.url and self.env:
            raise ValueError("env is for a command; a url takes headers_env")
        if self.command and self.headers_env:
            raise ValueError("headers_env is for a url; a command takes env")
        if self.url:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("its url must begin with https:// or http:// and a host")
            if parts.username is not None or parts.password is not None:
                raise ValueError("its url must hold no secret: use headers_env")
        if self.connect_timeout <= 0:
            raise ValueError("connect_timeout must be more than 0 seconds")

    def _check_names(self) -> None:
        """What is wrong is not repeated: somebody may have written a secret where its name belongs."""
        if isinstance(self.env, str) or not all(_VARIABLE.match(name) for name in self.env):
            raise ValueError("env lists the names of environment variables, not their values")
        if not all(_HEADER.match(name) for name in self.headers_env):
            raise ValueError("headers_env is by the name of the header")
        if not all(_VARIABLE.match(name) for name in self.headers_env.values()):
            raise ValueError("headers_env names the environment variable that holds each header's value")
        if isinstance(self.allow, str):
            raise ValueError("allow is a list of names of tools")
        strange = [name for name, tool in self.tools.items() if not isinstance(tool, McpTool)]
        if strange:
            raise ValueError(f"tools: {strange[0]} takes an McpTool(…)")
        hidden = [name for name in self.tools if self.allow is not None and name not in self.allow]
        if hidden:
            raise ValueError(f"tools: {hidden[0]} is not in allow")

    @property
    def variables(self) -> list[str]:
        """The environment variables that it needs."""
        return [*self.env, *self.headers_env.values()]

    @property
    def address(self) -> tuple[Any, ...]:
        """What makes a connection another one: agents that say the same of it share one."""
        headers = tuple(sorted(self.headers_env.items()))
        return (self.name, tuple(self.command), self.url, tuple(self.env), headers, self.connect_timeout)

    def rules(self, tool: str) -> Rules:
        own = self.tools.get(tool, McpTool())
        return Rules(
            effect=Effect(self.effect if own.effect is None else own.effect),
            approval=self.approval if own.approval is None else own.approval,
            timeout=self.timeout if own.timeout is None else own.timeout,
        )

    def shows(self, tool: str) -> bool:
        return self.allow is None or tool in self.allow

    def declared(self) -> list[Any]:
        """All of it as JSON, for the agent's version; of an approval rule only that there is one counts."""
        rules = {name: [tool.effect, _shown(tool.approval), tool.timeout] for name, tool in self.tools.items()}
        default = [self.effect, _shown(self.approval), self.timeout]
        return [list(self.address), default, rules, None if self.allow is None else list(self.allow)]


def _shown(approval: Approval | None) -> str | None:
    return "rule" if callable(approval) else approval


def _check(effect: str | None, approval: Approval | None, timeout: float | None) -> None:
    if effect is not None and effect not in tuple(Effect):
        raise ValueError(f"effect must be one of {', '.join(Effect)}, not {effect!r}")
    if approval is not None and not callable(approval) and approval not in ("never", "always"):
        raise ValueError(f'approval must be "never", "always" or a function of the arguments, not {approval!r}')
    if timeout is not None and timeout <= 0:
        raise ValueError("timeout must be more than 0 seconds")
