"""A contender as its `contender.toml` describes it: how its processes are started, and with which settings."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

HERE = Path(__file__).parent
FOLDER = HERE / "contenders"
PEERS = HERE / ".peers"
COMMON = HERE / "common"

TIME_LIMIT_SECONDS = 3600
"""What every contender lets a job run for, as agents need it; many recover the later the longer this is."""
CRASH_CAP_SECONDS = 100.0
"""How long a second start is waited for."""
_SAME = "same as default"


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Drain(_Described):
    slots: int
    jobs: int | None = None
    """Fewer jobs for a slow one; None is as many as for all."""


class Wall(_Described):
    workers: int
    slots: int


class InFlight(_Described):
    slots: int


class Software(_Described):
    """What the variants of one folder share. An `environment` of "" is the project's own."""

    folder: Path
    environment: str
    packages: tuple[str, ...]
    language: str = "python"
    worker: tuple[str, ...] = ()
    driver: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        return PEERS / self.environment

    @property
    def interpreter(self) -> str:
        if self.language == "node":
            return "node"
        return str(self.home / "bin" / "python") if self.environment else sys.executable

    def script(self, what: str) -> tuple[str, ...]:
        """`what` is worker or driver."""
        named = self.worker if what == "worker" else self.driver
        return named or (str(self.folder / f"{what}.{'js' if self.language == 'node' else 'py'}"),)


class Contender(_Described):
    """One row of the tables."""

    software: Software
    name: str
    settings: dict[str, str]
    """Profile → what it sets, in the words of the report."""
    arguments: tuple[str, ...] = ()
    measurements: tuple[str, ...] | None = None
    """Which alone it takes part in; None is all that are about the queue."""
    drain: Drain | None = None
    wall: Wall | None = None
    in_flight: InFlight | None = None
    """Both None when a slot is a process, so that it cannot hold hundreds of jobs."""
    also_default: bool = False
    """Drain and wall are measured with the default settings as well, but for the slots."""
    crash_cap: float = CRASH_CAP_SECONDS
    """The same with the default settings, where it is known that it takes longer."""
    note: str = ""

    def profiles(self, *wanted: str) -> tuple[str, ...]:
        """Those of the wanted ones that differ from the default, which is always one."""
        return ("default", *(one for one in wanted if not self.settings.get(one, _SAME).startswith(_SAME)))

    def command(self, what: str, *, redis: str, log: Path, profile: str, slots: int = 0) -> list[str]:
        """`what` is worker or driver; `slots` 0 is the library's default."""
        options = {"redis": redis, "log": log, "profile": profile, "slots": slots, "time-limit": TIME_LIMIT_SECONDS}
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        return [self.software.interpreter, *self.software.script(what), *flags, *self.arguments]

    def environment(self) -> dict[str, str]:
        """Ours without proxies and settings, plus where the shared modules are."""
        paths = [COMMON, self.software.folder] if self.software.environment else [HERE.parent]
        return clean_environment() | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "NODE_PATH": str(self.software.home / "node_modules"),
        }

    def versions(self) -> dict[str, str]:
        """Package → version, of those that are installed."""
        if self.software.language == "node":
            return {name: _node_version(self.software.home, name) for name in self.software.packages}
        said = subprocess.run(
            [self.software.interpreter, "-c", _VERSIONS, *self.software.packages],
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, str] = json.loads(said.stdout)
        return found


_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def clean_environment() -> dict[str, str]:
    """Ours without proxies and settings: nothing of what this shell was set up for may steer a contender."""
    return {name: value for name, value in os.environ.items() if not _leaks(name)}


def everyone() -> list[Contender]:
    """All contenders there are, in the order of their folders. Raises ValidationError for a bad contender.toml."""
    return [one for path in sorted(FOLDER.glob("*/contender.toml")) for one in _read(path)]


def _node_version(home: Path, package: str) -> str:
    said = json.loads((home / "node_modules" / package / "package.json").read_text("utf-8"))
    return str(said["version"])


def _leaks(variable: str) -> bool:
    return variable.lower().endswith("_proxy") or variable.startswith(("SLUICE_", "ANTHROPIC_", "REDIS_URL"))


def _read(path: Path) -> list[Contender]:
    described = tomllib.loads(path.read_text("utf-8"))
    variants = described.pop("variants")
    software = Software(folder=path.parent, **described)
    return [Contender(software=software, **variant) for variant in variants]
