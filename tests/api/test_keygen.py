"""`python -m api keygen`: a key on stdout, once; what to configure on stderr; and the two fit together."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.auth import Authenticator
from api.keygen import new_key
from shared.settings import load

ROOT = Path(__file__).parent.parent.parent


def keygen(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api", "keygen", *arguments]
    return subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60)


def test_the_lines_it_prints_let_the_key_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keygen("--tenant", "acme", "--name", "ci", "--scope", "read", "--scope", "admin")
    assert made.returncode == 0
    key = made.stdout.removesuffix("\n")
    assert re.fullmatch(r"slc_[A-Za-z0-9]{43}", key)
    assert key not in made.stderr

    path = tmp_path / "sluice.toml"
    path.write_text(made.stderr)
    monkeypatch.setenv("SLUICE_CONFIG", str(path))
    settings = load("api")
    caller = Authenticator(settings.tenants).caller(f"Bearer {key}", "")

    assert list(settings.tenants["acme"].keys) == ["ci"]
    assert (caller.tenant, caller.scopes) == ("acme", {"read", "admin"})


def test_no_two_are_alike() -> None:
    assert len({new_key() for _ in range(1000)}) == 1000


def test_without_scopes_it_is_one_that_submits_and_reads() -> None:
    assert 'scopes = ["submit", "read"]' in keygen("--tenant", "acme").stderr


@pytest.mark.parametrize("arguments", [["--scope", "everything"], ["surplus"]])
def test_what_there_is_not_cannot_be_asked_for(arguments: list[str]) -> None:
    made = keygen(*arguments)
    assert (made.returncode, made.stdout) == (2, "")
