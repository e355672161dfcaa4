"""Puts each peer into an environment of its own below bench/.peers/, and says which ones cannot be had here."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.contender import PEERS, Contender, Software

_AT_ONCE = 2
_REASON_CHARACTERS = 300
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
_NPM = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error")


class NotInstalled(Exception):
    """Why a peer is not there."""


def install(contenders: Iterable[Contender]) -> dict[str, str]:
    """Environments that could not be made → why. What is there already and has not changed is left alone."""
    wanted = {one.software.environment: one.software for one in contenders if one.software.environment}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = zip(wanted, pool.map(_outcome, wanted.values()), strict=True)
        return {name: why for name, why in outcomes if why}


def missing(contender: Contender) -> bool:
    software = contender.software
    return bool(software.environment) and not _current(software)


def _outcome(software: Software) -> str | None:
    if _current(software):
        return None
    print(f"installing {software.environment} …", flush=True)
    try:
        _make(software)
    except NotInstalled as error:
        return str(error)
    return None


def _make(software: Software) -> None:
    shutil.rmtree(software.home, ignore_errors=True)
    software.home.mkdir(parents=True)
    pins = _pins(software)
    if software.language == "node":
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("npm is not here")
        shutil.copy(pins, software.home)
        _run([npm, *_NPM], software.home)
    else:
        _run([sys.executable, "-m", "venv", str(software.home)], PEERS)
        _run([software.interpreter, *_PIP, "-r", str(pins)], PEERS)
    _stamp(software).write_text(pins.read_text("utf-8"), "utf-8")  # last, so a half-made one is made again


def _current(software: Software) -> bool:
    stamp = _stamp(software)
    return stamp.exists() and stamp.read_text("utf-8") == _pins(software).read_text("utf-8")


def _pins(software: Software) -> Path:
    return software.folder / ("package.json" if software.language == "node" else "requirements.txt")


def _stamp(software: Software) -> Path:
    return software.home / "installed.txt"


def _run(command: list[str], folder: Path) -> None:
    """Raises NotInstalled with the last line of what was said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise NotInstalled(lines[-1][:_REASON_CHARACTERS])
