"""The commands of a page of the docs, typed into a shell one by one, as by a reader who fills in the placeholders."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent
_DOCS_URL = "http://127.0.0.1:8000"
_STATUS_TOO = 'curl() { command curl -sS -w "\\n%{http_code}" "$@"; }\n'
_FUNCTION = re.compile(r"^\w+\(\) \{")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and the HTTP status. `body` is the JSON in it, behind the headers if these were wanted,
    None if it is none."""

    status: int
    text: str

    @property
    def body(self) -> Any:
        try:
            return json.loads(self.text.rpartition("\n\n")[2])
        except ValueError:
            return None


def blocks(page: str, language: str = "bash") -> list[str]:
    """The code of this language in a page of docs/, or another one by its way from there."""
    text = (_ROOT / "docs" / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Each command in the bash blocks of a page that hold a curl, in its order, with the functions of its block before
    it."""
    found = []
    for block in blocks(page):
        if "curl " not in block:
            continue
        lines = block.replace("\\\n", " ").splitlines()
        functions = [line for line in lines if _FUNCTION.match(line)]
        typed = [line for line in lines if line.strip() and line not in functions and line[0] not in "#…"]
        found += ["\n".join([*functions, line]) for line in typed]
    return found


def with_stand_in(place: Path) -> str:
    """The PATH on which `curl` is the stand-in, that is put into this directory."""
    curl = place / "curl"
    curl.write_text(f'#!/bin/sh\nexec {sys.executable} {_ROOT}/tests/stand_in_curl.py "$@"\n', "utf-8")
    curl.chmod(0o755)
    return f"{place}{os.pathsep}{os.environ['PATH']}"


class Terminal:
    """A shell at the root of the repository, for the api at `url`. `curl` is the real one where there is one, unless
    the stand-in is wanted."""

    def __init__(self, url: str, place: Path, *, stand_in: bool) -> None:
        """`place` is an empty directory."""
        self._url = url
        proxies = ("http_proxy", "https_proxy", "all_proxy")
        self._environment = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
        if stand_in or shutil.which("curl") is None:
            self._environment["PATH"] = with_stand_in(place)

    def type(self, command: str, **placeholders: str) -> Answer:
        """What it is answered. JOB_ID="job_…" goes where the page says JOB_ID or $JOB_ID."""
        for name, value in placeholders.items():
            command = re.sub(rf"\$?\b{name}\b", value, command)
        left = re.findall(r"\b[A-Z]+_ID\b|…", re.sub(r"#.*", "", command))
        assert not left, f"what is {left} in {command}?"
        command = command.replace(_DOCS_URL, self._url).replace("$(uuidgen)", f"key-{secrets.token_hex(8)}")
        done = subprocess.run(
            ["sh", "-euc", _STATUS_TOO + command],
            cwd=_ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        text, _, status = done.stdout.rpartition("\n")
        return Answer(int(status), text)
