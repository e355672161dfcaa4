"""`python -m local …` as a user starts it, and what it leaves behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SETTINGS = ("SLUICE_", "ANTHROPIC_", "REDIS_URL")


def environment(**more: str) -> dict[str, str]:
    """Ours without any settings, and these."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)} | more


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, with nobody at the keyboard."""
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def begin(*arguments: str, **settings: str) -> subprocess.Popen[str]:
    """Starts it; what it says, errors too, can be read from `stdout`."""
    return subprocess.Popen(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Everything it says up to the line that holds this text."""
    said = ""
    for line in process.stdout or ():
        said += line
        if text in line:
            return said
    raise AssertionError(f"it never said {text!r}:\n{said}")


def children(pid: int) -> dict[int, str]:
    """The processes that this one started, with their command lines."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = (line.split(None, 2) for line in listing.stdout.splitlines())
    return {int(row[0]): row[2] for row in rows if len(row) == 3 and int(row[1]) == pid}


def child(pid: int, command: str) -> int:
    """The pid of a child whose command line holds this."""
    return next(number for number, line in children(pid).items() if command in line)


def assert_gone(pids: dict[int, str], seconds: float = 10) -> None:
    """None of these lives, or will in a moment."""
    deadline = time.monotonic() + seconds
    while left := {pid: line for pid, line in pids.items() if _lives(pid)}:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")
