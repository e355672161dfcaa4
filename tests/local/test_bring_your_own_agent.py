"""docs/bring-your-own-agent.md, followed: its files are written, its tests pass, its jobs run on a real worker."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.stack import stack

_ROOT = Path(__file__).parent.parent.parent
_PAGE = (_ROOT / "docs" / "bring-your-own-agent.md").read_text("utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page's files in it, each under the name in its first line."""
    for name, text in re.findall(r"^```python\n# (my_agents/\S+)\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_its_tests_pass(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(_ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(_ROOT)])}
    ran = subprocess.run(
        [*command, "-p", "no:cacheprovider", "my_agents"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "6 passed" in ran.stdout


async def test_its_job_runs(folder: Path, redis: Redis, redis_server: RedisServer, provider: ProviderProcess) -> None:
    (agents,) = set(re.findall(r"SLUICE_WORKER__AGENTS(?:=|: )'(\[.*?\])'", _PAGE))
    (body,) = re.findall(r"-d '(\{\"agent\".*?\})'$", _PAGE, re.MULTILINE | re.DOTALL)
    job = json.loads(body)
    with stack(redis_server.url, provider.url, SLUICE_WORKER__AGENTS=agents, PYTHONPATH=str(folder)) as running:
        job_id = running.submit(job["agent"], job["input"])
        (action,) = running.asked(job_id)
        running.decide(action, "approve")

        assert running.finished(job_id)["output"] == "It is refunded."
        (result,) = running.results(job_id)
        assert result["content"] == "Order A-7 is refunded."
