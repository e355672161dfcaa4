"""What deploy/gateway says in several places is the same in all, and holds no secret. Needs no proxy."""

import re
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent


def _read(path: str) -> str:
    return (_ROOT / path).read_text("utf-8")


def _pinned(path: str) -> str:
    found = re.search(r"^litellm(?:\[proxy\])?==(\S+)", _read(path), re.MULTILINE)
    assert found, f"{path} pins no litellm"
    return found[1]


def test_the_container_is_the_version_that_is_tested() -> None:
    tested = _pinned("deploy/gateway/requirements.txt")

    assert _pinned("deploy/gateway/requirements.lock") == tested, "run `make lock`"
    assert f"litellm-non_root:v{tested}\n" in _read("docker-compose.yml")
    assert tested in _read("deploy/gateway/README.md")


def test_keys_come_from_the_environment() -> None:
    keys = re.findall(r"^\s*(?:- )?(\w*key): (.+)$", _read("deploy/gateway/config.yaml"), re.MULTILINE)

    assert {name for name, _ in keys} == {"api_key", "master_key"}
    assert all(value.startswith("os.environ/") for _, value in keys), keys


def test_retries_and_rests_are_left_to_the_gate() -> None:
    config = _read("deploy/gateway/config.yaml")

    assert re.findall(r"num_retries: (\d+)", config) == ["0", "0"]
    assert "disable_cooldowns: true" in config
