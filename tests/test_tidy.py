"""The rules of ARCHITECTURE.md that a machine can check, read from the sources with `ast`.

The tables come first; each rule is a function from all sources to complaints and names bad sources
that it must catch, so that no rule can go blind unnoticed.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PACKAGES = ("api", "worker", "shared", "local", "client")
SHIPPED = ("api", "worker", "shared")

# Who may not import whom.
FORBIDDEN = {
    "api": ("worker", "local", "client", "bench"),
    "worker": ("api", "local", "client", "bench"),
    "shared": ("api", "worker", "local", "client", "bench"),
    "local": ("bench",),
}

# Inside shared/, lowest first; a module that is not listed is a store and stands above them.
LAYERS = (
    (
        "words",
        {
            "errors",
            "settings",
            "sections",
            "clock",
            "ids",
            "keys",
            "usage",
            "backoff",
            "log",
            "job",
            "action",
            "states",
            "pace",
            "pool",
            "submission",
            "step",
            "turn",
            "history",
            "message",
            "journal",
            "origin",
            "stored",
            "mistakes",
            "webhook",
            "receiver",
            "delivery",
            "endpoint",
            "events",
        },
    ),
    (
        "mechanism",
        {
            "redis_client",
            "line",
            "sentinel",
            "scripts",
            "metrics",
            "gate_metrics",
            "tracing",
            "listener",
            "http_server",
            "signals",
            "outage",
            "local_budget",
            "fallback",
            "told",
            "visits",
            "headers_seen",
            "gate_news",
        },
    ),
)

# A module with an owner: the only files in api/, worker/ and shared/ that may import it.
OWNERS = {
    "anthropic": {"worker/provider_anthropic.py"},
    "arq": {"shared/queue.py", "worker/arq_worker.py"},
    "hiredis": {"shared/line.py"},
    "httpcore2": {"worker/webhooks/guard.py", "worker/webhooks/sender.py"},
    "genai_prices": {"worker/pricing.py"},
    "mcp": {"worker/mcp/connection.py", "worker/mcp/transport.py"},
    "redis": {"shared/redis_client.py", "shared/scripts.py", "shared/sentinel.py", "shared/line.py"},
    "tenacity": {"worker/model_call.py"},
    "time": {"shared/clock.py"},
    "uuid": {"shared/ids.py"},
    "uuid_utils": {"shared/ids.py"},
}
ENVIRONMENT_OWNER = "shared/settings.py"
CLOCK_OWNER = "shared/clock.py"

NEVER_IMPORTED = {"pickle", "marshal", "shelve"}
NEVER_CALLED = {"eval", "exec"}

# Modules that come with a distribution of another name.
COMES_WITH = {"opentelemetry": "opentelemetry-api", "pydantic_core": "pydantic", "starlette": "fastapi"}

# What people copy into their own projects: one file, on the standard library and this.
CLIENT = "client/sluice_client.py"
CLIENT_STANDS_ON = {"httpx2", *sys.stdlib_module_names}

LONGEST_FILE = 300
COUNTED_SUFFIXES = {".py", ".lua", ".html", ".css", ".js"}

LEFTOVERS = re.compile(r"\b(TODO|FIXME)\b")
THIS_FILE = "tests/test_tidy.py"  # names them


@dataclass(frozen=True)
class Source:
    """A file of the repository; `path` is relative to its root."""

    path: str
    text: str

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def module(self) -> str:
        """`shared/lua/x.py` → `shared.lua.x`; a package's `__init__.py` is the package."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True)
class Import:
    source: Source
    line: int
    name: str  # dotted: `from shared import keys` is shared.keys

    @property
    def top(self) -> str:
        return self.name.split(".")[0]

    @property
    def where(self) -> str:
        return f"{self.source.path}:{self.line}"


@cache
def repository() -> tuple[Source, ...]:
    """Every text file that git tracks or would."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip(f"the rules need a git checkout: {listing.stderr.strip()}")
    paths = sorted(set(filter(None, listing.stdout.split("\0"))))
    return tuple(Source(path, text) for path in paths if (text := _text(ROOT / path)) is not None)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return None  # binary, deleted but not committed yet, or a submodule


@cache
def nodes(source: Source) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(source.text, source.path)))


def python(sources: Iterable[Source], *packages: str) -> Iterator[Source]:
    return (source for source in sources if source.path.endswith(".py") and source.package in packages)


def imports(sources: Iterable[Source], *packages: str) -> Iterator[Import]:
    for source in python(sources, *packages):
        for node in nodes(source):
            if isinstance(node, ast.Import):
                yield from (Import(source, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(source, node)
                yield from (Import(source, node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = source.module.split(".") + (["__init__"] if source.path.endswith("__init__.py") else [])
    return ".".join([*package[: -node.level], *([node.module] if node.module else [])])


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain, else what there is of it."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def pins(sources: Iterable[Source], path: str) -> dict[str, str]:
    text = "".join(source.text for source in sources if source.path == path)
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))


Rule = Callable[[Iterable[Source]], Iterator[str]]
RULES: list[Rule] = []
BAD: list[tuple[Rule, dict[str, str]]] = []


def rule(*bad: dict[str, str]) -> Callable[[Rule], Rule]:
    """Registers a rule with small trees (path → text), each of which it must complain about."""
    assert bad, "a rule that is never seen to fail proves nothing"

    def register(check: Rule) -> Rule:
        RULES.append(check)
        BAD.extend((check, tree) for tree in bad)
        return check

    return register


@rule(
    {"api/jobs.py": "from worker import executor"},
    {"worker/executor.py": "def f():\n    import api.main"},
    {"worker/main.py": "import local.provider"},
    {"shared/queue.py": "from worker.agents import Agent"},
    {"shared/queue.py": "from ..api import main"},
    {"local/stack.py": "from bench import rig"},
    {"worker/narrator.py": "from client.sluice_client import Event"},
)
def folders_keep_apart(sources: Iterable[Source]) -> Iterator[str]:
    for each in imports(sources, *FORBIDDEN):
        if each.top in FORBIDDEN[each.source.package]:
            yield f"{each.where}: {each.source.package}/ must not import {each.top}/"


@rule(
    {"client/sluice_client.py": "import pydantic"},
    {"client/sluice_client.py": "from shared.states import FINISHED"},
    {"client/sluice_client.py": "from client.errors import SluiceError"},
)
def the_client_can_be_copied_alone(sources: Iterable[Source]) -> Iterator[str]:
    for each in imports(sources, "client"):
        if each.top not in CLIENT_STANDS_ON:
            yield f"{each.where}: who copies this file alone does not have {each.top}"


def layer(module: str) -> int:
    name = module.split(".")[1] if "." in module else ""
    return next((i for i, (_, members) in enumerate(LAYERS) if name in members), len(LAYERS))


@rule(
    {"shared/job.py": "from shared import queue", "shared/queue.py": ""},
    {"shared/keys.py": "import shared.scripts", "shared/scripts.py": ""},
    {"shared/metrics.py": "from shared.outbox import Outbox", "shared/outbox.py": ""},
)
def shared_imports_only_downward(sources: Iterable[Source]) -> Iterator[str]:
    names = [name for name, _ in LAYERS] + ["stores"]
    for source, target in edges(sources, "shared"):
        mine, other = layer(source.module), layer(target)
        if other > mine:
            yield (
                f"{source.path} ({names[mine]}) must not import {target} ({names[other]}), which is above; "
                "a new word or mechanism goes into LAYERS"
            )


def edges(sources: Iterable[Source], *packages: str) -> Iterator[tuple[Source, str]]:
    """Who imports which module of ours: the longest known module that the import's name begins with."""
    sources = tuple(sources)
    known = {source.module for source in python(sources, *packages)} - set(packages)
    for each in imports(sources, *packages):
        parts = each.name.split(".")
        prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        target = next((prefix for prefix in prefixes if prefix in known), None)
        if target and target != each.source.module:
            yield each.source, target


@rule({"worker/a.py": "from worker import b", "worker/b.py": "def late():\n    from worker.a import x"})
def imports_have_no_cycles(sources: Iterable[Source]) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for source, target in edges(sources, *PACKAGES):
        graph.setdefault(source.module, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "import cycle: " + " imports ".join(reversed(error.args[1]))


@rule(
    {"worker/executor.py": "import anthropic"},
    {"api/admission.py": "from redis.asyncio import Redis"},
    {"shared/backoff.py": "from time import monotonic"},
    {"shared/log.py": "import uuid"},
)
def libraries_have_one_owner(sources: Iterable[Source]) -> Iterator[str]:
    for each in imports(sources, *SHIPPED):
        owners = OWNERS.get(each.top)
        if owners and each.source.path not in owners:
            yield f"{each.where}: only {', '.join(sorted(owners))} may import {each.top}"


@rule(
    {"worker/main.py": "import os\nkey = os.environ['KEY']"},
    {"api/main.py": "import os as system\nsystem.getenv('KEY')"},
    {"shared/log.py": "from os import environ"},
)
def only_settings_read_the_environment(sources: Iterable[Source]) -> Iterator[str]:
    forbidden = {"environ", "environb", "getenv", "getenvb"}
    for source in python(sources, *SHIPPED):
        if source.path == ENVIRONMENT_OWNER:
            continue
        lines = [node.lineno for node in nodes(source) if isinstance(node, ast.Attribute) and node.attr in forbidden]
        lines += [
            each.line for each in imports([source], *SHIPPED) if each.name in {f"os.{name}" for name in forbidden}
        ]
        yield from (f"{source.path}:{line}: only {ENVIRONMENT_OWNER} reads the environment" for line in lines)


@rule(
    {"worker/reaper.py": "import datetime\nnow = datetime.datetime.now(datetime.UTC)"},
    {"api/schemas.py": "from datetime import date\nday = date.today()"},
)
def only_the_clock_tells_the_time(sources: Iterable[Source]) -> Iterator[str]:
    """The module `time` is in OWNERS; this is its other door."""
    for source in python(sources, *SHIPPED):
        if source.path == CLOCK_OWNER:
            continue
        for node in nodes(source):
            name = dotted(node)
            if isinstance(node, ast.Attribute) and re.search(r"\b(datetime|date)\.(now|utcnow|today)$", name):
                yield f"{source.path}:{node.lineno}: {name} is for {CLOCK_OWNER} alone"


@rule(
    {"shared/queue.py": "import pickle"},
    {"local/demo.py": "from marshal import loads"},
    {"worker/tools.py": "def calculator(text):\n    return eval(text)"},
)
def nothing_runs_data_as_code(sources: Iterable[Source]) -> Iterator[str]:
    for each in imports(sources, *PACKAGES):
        if each.top in NEVER_IMPORTED:
            yield f"{each.where}: {each.top} runs code out of data"
    for source in python(sources, *PACKAGES):
        for node in nodes(source):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NEVER_CALLED:
                yield f"{source.path}:{node.lineno}: {node.func.id}() runs code out of data"


@rule(
    {"api/main.py": "import requests", "requirements.txt": "fastapi==1.0\n"},
    {"worker/main.py": "import rich", "requirements.txt": "arq==1.0", "requirements-dev.txt": "rich==1.0"},
)
def what_is_imported_is_pinned(sources: Iterable[Source]) -> Iterator[str]:
    """Transitive dependencies come and go; what is imported by name is pinned by name."""
    sources = tuple(sources)
    production = {*pins(sources, "requirements.txt"), *pins(sources, "requirements-mcp.txt")}
    development = production | set(pins(sources, "requirements-dev.txt"))
    for each in imports(sources, *PACKAGES):
        distribution = COMES_WITH.get(each.top, each.top.replace("_", "-"))
        pinned = development if each.source.package == "local" else production
        if each.top not in {*PACKAGES, *sys.stdlib_module_names} and distribution not in pinned:
            yield f"{each.where}: {distribution} is not in requirements.txt"


@rule(
    {"requirements.txt": "arq==0.28.0\n", "requirements.lock": "arq==0.27.0 \\\n"},
    {"requirements-dev.txt": "rich==15.0.0\n", "requirements-dev.lock": ""},
    {"requirements-mcp.txt": "mcp==2.3.0\n", "requirements-mcp.lock": "mcp==2.2.0 \\\n"},
    {"requirements.lock": "--index-url https://packages.example/simple\n"},
)
def locks_are_current_and_name_no_index(sources: Iterable[Source]) -> Iterator[str]:
    sources = tuple(sources)
    for name in ("requirements", "requirements-dev", "requirements-mcp"):
        stale = pins(sources, f"{name}.txt").items() - pins(sources, f"{name}.lock").items()
        yield from (f"{name}.lock lacks {pin}=={version}: run `make lock`" for pin, version in sorted(stale))
    for source in sources:
        if source.path.endswith(".lock") and re.search(r"://|^--(?!hash)", source.text, re.MULTILINE):
            yield f"{source.path} names an index: run `make lock`"


@rule(
    {"api/routes/jobs.py": "router = APIRouter(prefix='/v1/jobs')"},
    {"api/routes/jobs.py": "router = APIRouter(prefix='/v1/jobs', route_class=APIRoute)"},
    {"api/routes/jobs.py": "router = APIRouter()\n@router.get('/v1/jobs')\nasync def jobs(): ..."},
)
def endpoints_ignore_no_parameter(sources: Iterable[Source]) -> Iterator[str]:
    """A slip of the pen in a query is told and not passed over (`api/strict_route.py`)."""
    for source in python(sources, "api"):
        texts = {str(node.value) for node in nodes(source) if isinstance(node, ast.Constant)}
        if not any(text.startswith("/v1") for text in texts):
            continue
        for node in nodes(source):
            if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "APIRouter":
                given = {one.arg: dotted(one.value) for one in node.keywords}
                if given.get("route_class") != "StrictRoute":
                    yield f"{source.path}:{node.lineno}: a router under /v1 takes route_class=StrictRoute"


@rule(
    {"shared/lua/job_claim.lua": "local x = 1"},
    {"shared/lua/job_claim.lua": "-- job_renew: extends.\n-- KEYS none\n-- ARGV none\n-- RETURNS 1\n"},
    {"shared/lua/job_claim.lua": "-- job_claim: takes.\n-- KEYS none\n-- ARGV none\n\n-- RETURNS 1"},
)
def lua_scripts_have_a_contract(sources: Iterable[Source]) -> Iterator[str]:
    for source in sources:
        if not (source.path.startswith("shared/lua/") and source.path.endswith(".lua")):
            continue
        header = re.match(r"(--.*\n)*", source.text)
        name = Path(source.path).stem
        wanted = {
            f"`-- {name}: purpose`": rf"^-- {name}: \S",
            "`-- KEYS names`": r"^-- KEYS\b",
            "`-- ARGV names`": r"^-- ARGV\b",
            "`-- RETURNS what`": r"^-- RETURNS \S",
        }
        for shown, pattern in wanted.items():
            if not (header and re.search(pattern, header.group(), re.MULTILINE)):
                yield f"{source.path}: its header comment lacks {shown}"


@rule({"api/main.py": "x = 1\n" * (LONGEST_FILE + 1)}, {"shared/lua/job.lua": "--\n" * (LONGEST_FILE + 1)})
def files_are_read_in_one_sitting(sources: Iterable[Source]) -> Iterator[str]:
    for source in sources:
        lines = len(source.text.splitlines())
        if (
            source.package in (*PACKAGES, "bench")
            and Path(source.path).suffix in COUNTED_SUFFIXES
            and source.path != CLIENT
            and lines > LONGEST_FILE
        ):
            yield f"{source.path}: {lines} lines; at most {LONGEST_FILE}, so split it"


@rule({"README.md": "one line\n<!-- TODO: write this -->"}, {"api/main.py": "# FIXME"})
def nothing_is_left_for_later(sources: Iterable[Source]) -> Iterator[str]:
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), 1):
            if LEFTOVERS.search(line) and source.path != THIS_FILE:
                yield f"{source.path}:{number}: {line.strip()}"


@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__name__)
def test_the_sources_keep(check: Rule) -> None:
    complaints = list(check(repository()))
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize(("check", "tree"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_can_fail(check: Rule, tree: dict[str, str]) -> None:
    assert list(check([Source(path, text) for path, text in tree.items()]))
