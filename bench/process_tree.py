"""A process that was started here, with all its descendants: their CPU time, their memory, their end.

Read from /proc, so the bench needs Linux and no package for it. Some contenders are a parent and a pool of children,
so only the tree as a whole can be compared.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.guard import Guard

_TICK = os.sysconf("SC_CLK_TCK")
_END_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a whole tree, in MB. Pages that processes share are in `rss` once for each of them, in `pss` once."""

    rss: float
    pss: float
    processes: int


class ProcessTree:
    """Runs in a session of its own; a guard ends it when this process dies, however that happens."""

    def __init__(self, command: Sequence[object], folder: Path, environment: Mapping[str, str], output: Path) -> None:
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = Guard(self._process.pid)
        self._seen: dict[int, str] = {}

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def has(self, pid: int) -> bool:
        return pid in self._members()

    def cpu_seconds(self) -> float:
        """User and system time of the tree, of children already waited for as well."""
        return sum(cpu_seconds(pid) for pid in self._members())

    def memory(self) -> Memory:
        shares = [share for pid in self._members() if (share := _share(pid))]
        return Memory(sum(rss for rss, _ in shares), sum(pss for _, pss in shares), len(shares))

    def terminate(self) -> None:
        """SIGTERM to the root alone, as a supervisor sends it."""
        self._process.send_signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP for all: nothing is said any more, and no connection is closed, as when a machine is lost."""
        for pid in self._members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL for the root first and then for all others, so that nobody is left to react."""
        self._guard.end()
        members = self._members()
        self._process.kill()
        self._process.wait(_END_SECONDS)
        for pid, born in (self._seen | members).items():
            if pid != self._process.pid and _born(pid) == born:  # else the number is another process's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _members(self) -> dict[int, str]:
        """Pid → birth, root first; those seen are remembered, as an orphan can no longer be found from the root."""
        if not self.alive:
            return {}
        children = _children()
        found: dict[int, str] = {}
        ahead = [self._process.pid]
        while ahead:
            pid = ahead.pop()
            if (born := _born(pid)) is not None:
                found[pid] = born
                ahead += children.get(pid, [])
        self._seen |= found
        return found


def cpu_seconds(pid: int) -> float:
    """User and system time of one process and of its children already waited for; 0 when it has ended."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICK if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) from the third one, `state`, on; the second may hold blanks and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _born(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def _children() -> dict[int, list[int]]:
    """Who has which children; not every kernel has a list of them for one process."""
    families: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            families.setdefault(int(fields[1]), []).append(int(name))
    return families


def _share(pid: int) -> tuple[float, float] | None:
    """RSS and PSS in MB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines[1:])}
    return kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024
