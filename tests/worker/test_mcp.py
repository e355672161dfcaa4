"""What needs no server and no package: what may be declared, what its defaults are, and what an agent becomes of it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.job import IncompleteReason, WaitReason
from shared.sections import Chain
from shared.turn import ToolCall, Transcript
from worker.agents import Agent, McpServer, McpTool, registry, tool
from worker.mcp import toolbox
from worker.mcp.errors import ServerAway
from worker.mcp.remote_tool import LONGEST_NAME, Offer, remote_tools, tool_name
from worker.mcp.results import as_text
from worker.mcp.toolbox import Toolbox
from worker.release import Release, without_tools
from worker.tool_runner import run_tool
from worker.tools import Effect, ToolContext, ToolFailed, Unanswered

SECRET = "sk-very-secret"  # what somebody might write where its name belongs
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}


def server(**options: Any) -> McpServer:
    return McpServer(**{"name": "files", "command": ["files-server"], **options})


class Told:
    """A connection whose server offers these, and answers with what it was asked."""

    def __init__(self, *names: str, away: bool = False) -> None:
        self._offers = tuple(Offer(name, f"It does {name}.", SCHEMA) for name in names)
        self._away = away
        self.error: Exception | None = None

    @property
    def known(self) -> Sequence[Offer] | None:
        return self._offers or None

    async def offers(self) -> Sequence[Offer]:
        if self._away:
            raise ServerAway("files")
        return self._offers

    async def call(self, tool: str, arguments: dict[str, Any], *, key: str, repeatable: bool, seconds: float) -> str:
        if self.error:
            raise self.error
        return f"{tool} {arguments} {key} {repeatable} {seconds:g}"

    async def run(self) -> None: ...


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`box(agent, link)`: a toolbox with one connection for all servers of the agent."""

    def made(agent: Agent, link: Told) -> Toolbox:
        monkeypatch.setattr(toolbox, "_link", lambda server, changed: link)
        return Toolbox({agent.name: agent})

    return made


def context() -> ToolContext:
    empty: Any = None
    return ToolContext("job/1/toolu", "acme", "job", None, empty, empty)


def call(name: str, given: dict[str, Any]) -> ToolCall:
    return ToolCall(turn=1, id="toolu", name=name, input=given, place=0, started=False)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"name": "Files"}, "lower case"),
        ({"name": "a__b"}, "single _"),
        ({"name": "a" * 33}, "at most 32"),
        ({"command": []}, "either a command or a url"),
        ({"url": "https://a.example/mcp"}, "either a command or a url"),
        ({"command": "files-server --all"}, "list of words"),
        ({"command": (), "url": "ftp://a.example"}, "https://"),
        ({"command": (), "url": f"https://me:{SECRET}@a.example/mcp"}, "hold no secret"),
        ({"command": (), "url": "https://a.example/mcp", "env": ["A"]}, "env is for a command"),
        ({"headers_env": {"Authorization": "A"}}, "headers_env is for a url"),
        ({"env": [f"TOKEN={SECRET}"]}, "names of environment variables"),
        ({"env": SECRET}, "names of environment variables"),
        ({"command": (), "url": "https://a.example", "headers_env": {"Authorization": f"Bearer {SECRET}"}}, "variable"),
        ({"command": (), "url": "https://a.example", "headers_env": {f"X: {SECRET}": "A"}}, "name of the header"),
        ({"effect": "harmless"}, "effect must be one of"),
        ({"approval": "sometimes"}, "approval must be"),
        ({"timeout": 0}, "timeout"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"tools": {"read": {"effect": "read"}}}, "McpTool"),
        ({"tools": {"read": McpTool(effect="read")}, "allow": ["write"]}, "not in allow"),
        ({"allow": "read"}, "allow is a list"),
    ],
)
def test_a_declaration_that_cannot_work_says_why_and_repeats_no_secret(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        server(**options)

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("options", [{"effect": "harmless"}, {"approval": "sometimes"}, {"timeout": -1}])
def test_rules_of_one_tool_are_checked_too(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        McpTool(**options)


def test_what_is_not_said_to_be_harmless_is_not() -> None:
    declared = server(tools={"read": McpTool(effect="read"), "write": McpTool(approval="never", timeout=5)})
    tools = {
        one.name: one for one in remote_tools(declared, [Offer(n, n, SCHEMA) for n in ["read", "write", "x"]], Told())
    }

    rules = {name: (one.effect, one.approval, one.timeout) for name, one in tools.items()}
    assert rules == {
        "files__read": (Effect.READ, "always", 60),
        "files__write": (Effect.IRREVERSIBLE, "never", 5),
        "files__x": (Effect.IRREVERSIBLE, "always", 60),
    }


def test_only_what_is_allowed_is_shown() -> None:
    offers = [Offer(name, name, SCHEMA) for name in ("read", "write")]

    assert [one.name for one in remote_tools(server(allow=["read"]), offers, Told())] == ["files__read"]


def test_an_approval_rule_sees_what_the_model_gave() -> None:
    declared = server(approval=lambda arguments: arguments["path"].startswith("/etc"))
    (one,) = remote_tools(declared, [Offer("write", "", SCHEMA)], Told())

    assert one.needs_approval(one.arguments({"path": "/etc/passwd"}))
    assert not one.needs_approval(one.arguments({"path": "/tmp/x"}))


def test_names_are_such_as_the_messages_api_takes() -> None:
    assert tool_name("files", "read_file") == "files__read_file"
    assert tool_name("files", "fs.read/file:1") == "files__fs_read_file_1"
    long = [tool_name("files", "x" * 100 + end) for end in "ab"]
    assert [len(name) for name in long] == [LONGEST_NAME, LONGEST_NAME]
    assert long[0] != long[1]


def test_a_schema_goes_on_as_it_is() -> None:
    (one,) = remote_tools(server(), [Offer("read", "Reads.", {"properties": {"context": {}}})], Told())

    wanted = {"type": "object", "properties": {"context": {}}}
    assert one.schema() == {"name": "files__read", "description": "Reads.", "input_schema": wanted}


async def test_a_call_goes_out_with_its_key_and_whatever_its_arguments_are_called() -> None:
    (one,) = remote_tools(
        server(tools={"read": McpTool(effect="read", timeout=7)}), [Offer("read", "", SCHEMA)], Told()
    )
    given = {"context": 1, "self": 2, "given": 3}

    outcome = await run_tool(one, call("files__read", given), context())

    assert outcome.content == f"read {given} job/1/toolu True 7"


@pytest.mark.parametrize("effect", ["read", "irreversible"])
async def test_of_a_call_without_an_answer_the_effect_says_what_it_means(effect: str) -> None:
    link = Told()
    link.error = Unanswered("The connection broke.")
    (one,) = remote_tools(server(effect=effect), [Offer("pay", "", SCHEMA)], link)

    outcome = await run_tool(one, call("files__pay", {}), context())

    assert outcome.is_error
    assert outcome.unknown == (effect == "irreversible")


async def test_a_call_that_failed_is_told_in_the_servers_words() -> None:
    link = Told()
    link.error = ToolFailed("no such file")
    (one,) = remote_tools(server(), [Offer("read", "", SCHEMA)], link)

    outcome = await run_tool(one, call("files__read", {}), context())

    assert (outcome.content, outcome.is_error) == ("no such file", True)


def test_results_are_text() -> None:
    text = SimpleNamespace(type="text", text="one")
    image = SimpleNamespace(type="image", data="AAAA", mime_type="image/png")
    link = SimpleNamespace(type="resource_link", name="report", uri="file:///r")
    page = SimpleNamespace(type="resource", resource=SimpleNamespace(uri="file:///p", text="two", mime_type=None))
    blob = SimpleNamespace(type="resource", resource=SimpleNamespace(uri="file:///b", blob="AAA=", mime_type="a/b"))

    assert as_text([text, image, link], {"one": 1}) == (
        "one\n[image of type image/png, 3 bytes, not shown]\n[resource report: file:///r]"
    )
    assert (
        as_text([page, blob], None) == "[resource file:///p]\ntwo\n[resource file:///b of type a/b, 2 bytes, not shown]"
    )
    assert as_text([], {"n": [1]}) == '{"n":[1]}'
    assert as_text([SimpleNamespace(type="hologram")], None) == "[hologram, not shown]"
    assert as_text([], None) == ""


async def test_an_agent_is_equipped_with_what_its_servers_offer(box: Any) -> None:
    agent = Agent(name="clerk", system="", mcp=[server()])
    equipped = await box(agent, Told("read", "write")).equip(agent)

    assert list(equipped.tools_by_name) == ["files__read", "files__write"]
    assert [schema["name"] for schema in equipped.tool_schemas()] == ["files__read", "files__write"]
    assert [shown["effect"] for shown in equipped.entry().tools] == ["irreversible", "irreversible"]
    assert equipped.version == agent.version, "two workers may have read the list at different times"


async def test_an_agent_without_servers_stays_as_it_is() -> None:
    agent = Agent(name="plain", system="")

    assert await Toolbox({"plain": agent}).equip(agent) is agent


async def test_a_job_of_an_agent_whose_server_is_away_waits(box: Any) -> None:
    agent = Agent(name="clerk", system="", mcp=[server()])
    away = box(agent, Told(away=True))

    with pytest.raises(ServerAway):
        await away.equip(agent)
    assert away.shown(agent) == agent


@pytest.mark.parametrize("names", [("a.b", "a/b"), ("read",)])
async def test_two_tools_of_one_name_are_one_clear_error(box: Any, names: Sequence[str]) -> None:
    @tool(effect="read")
    def files__read() -> str:
        """Its own."""
        return ""

    agent = Agent(name="clerk", system="", tools=[files__read], mcp=[server()])
    clashing = box(agent, Told(*names))

    with pytest.raises(ValueError, match="agent clerk has two tools of the same name: files__"):
        await clashing.equip(agent)
    assert clashing.shown(agent) == agent, "the catalogue still shows the agent"


def test_agents_that_say_the_same_of_a_server_share_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[McpServer] = []
    monkeypatch.setattr(toolbox, "_link", lambda server, changed: made.append(server) or Told())
    others = [server(effect="read"), server(allow=["read"]), server(env=["TOKEN"])]

    Toolbox({str(n): Agent(name=f"a{n}", system="", mcp=[one]) for n, one in enumerate(others)})

    assert len(made) == 2


def test_the_version_changes_with_what_is_declared() -> None:
    others = [server(), server(effect="read"), server(allow=["x"]), server(approval=lambda given: True)]
    versions = {Agent(name="a", system="", mcp=mcp).version for mcp in ([], *([one] for one in others))}
    assert len(versions) == 5


@pytest.mark.parametrize("servers", [[server(), server(effect="read")], ["files"]])
def test_servers_of_an_agent_are_checked(servers: list[Any]) -> None:
    with pytest.raises(ValueError, match="agent a"):
        Agent(name="a", system="", mcp=servers)


def test_addresses_and_commands_are_in_no_representation() -> None:
    agents = [server(command=["x", SECRET]), server(command=(), url=f"https://a.example/{SECRET}")]

    assert SECRET not in repr([Agent(name="a", system="", mcp=[one]) for one in agents])


def test_the_agent_in_the_docs_can_be_declared() -> None:
    page = (Path(__file__).parent.parent.parent / "docs/mcp.md").read_text("utf-8")
    module: dict[str, Any] = {}
    exec(page.split("```python")[1].split("```")[0], module)  # noqa: S102
    agent = module["clerk"]

    files, tickets = agent.mcp
    assert files.rules("write_file").effect == "idempotent"
    assert (tickets.rules("close").effect, tickets.rules("close").approval) == ("irreversible", "always")


def test_what_is_missing_is_said_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(name="clerk", system="", mcp=[server(env=["FILES_TOKEN"])])
    monkeypatch.setitem(sys.modules, "made_up", SimpleNamespace(agent=agent))
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    monkeypatch.delenv("FILES_TOKEN", raising=False)

    with pytest.raises(SettingsError) as refused:
        registry.load(["made_up"], {"default": Chain(targets=["default"])})

    assert refused.value.mistakes == [
        "agent clerk names MCP servers: install requirements-mcp.lock first (docs/mcp.md)",
        "agent clerk: MCP server files: FILES_TOKEN is not set: set it, or FILES_TOKEN_FILE to a file that holds it",
    ]


def test_a_worker_without_such_agents_needs_no_package() -> None:
    """In a process where the package cannot be imported."""
    code = "import sys; sys.modules['mcp'] = None; import worker.main"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Waits:
    """An attempt with so many seconds left."""

    pools: dict[str, Any] = {}  # noqa: RUF012
    parks = 2

    def __init__(self, left: float | None) -> None:
        self._left = left

    def seconds_left(self) -> float | None:
        return self._left


@pytest.mark.parametrize(("left", "most"), [(None, 24.0), (7.0, 7.0)])
def test_a_job_is_parked_for_a_server_longer_the_more_often_and_within_its_time(
    left: float | None, most: float
) -> None:
    parked = without_tools(ServerAway("files"), Waits(left), Transcript("hi", []))

    assert isinstance(parked, Release)
    assert parked.reason == WaitReason.TOOL_SERVER
    assert min(20.0, most) <= parked.delay_seconds <= most


def test_a_job_whose_time_is_up_waits_for_no_server() -> None:
    ended = without_tools(ServerAway("files"), Waits(0.0), Transcript("hi", []))

    assert not isinstance(ended, Release)
    assert ended.incomplete == IncompleteReason.DEADLINE_EXCEEDED
    assert "files is away" in (ended.message or "")
