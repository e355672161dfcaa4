"""The api held against its own OpenAPI document by schemathesis: right requests and wrong ones, in sequences too."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.api.talk import announce, client, tracebacks
from tests.api.tenancy import SETTINGS, api_of

CONFIG = Path(__file__).with_name("schemathesis.toml")
LONGEST_SECONDS = 240
"""It makes a fixed number of requests, which takes half a minute; this is for a server that hangs."""


@pytest.fixture(scope="module")
def api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with api_of(SETTINGS, tmp_path_factory.mktemp("schemathesis"), redis_server.url) as process:
        yield process
    assert not tracebacks(process.log)


@pytest.fixture
async def document(api: ServiceProcess, redis: Redis) -> dict[str, Any]:
    await announce(redis)
    async with client(api.url) as http:
        return told(await http.get("/openapi.json"))


def told(answer: httpx2.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return body


def schemathesis(api: ServiceProcess, document: dict[str, Any], folder: Path, *options: str) -> tuple[int, str]:
    """What it comes to, and its report."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", str(path)]
    done = subprocess.run(
        [*command, "--url", api.url, "--no-color", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_no_server_error_and_no_mismatch(api: ServiceProcess, document: dict[str, Any], tmp_path: Path) -> None:
    code, report = schemathesis(api, document, tmp_path)
    assert code == 0, report
    operations = sum(len(item) for item in document["paths"].values())
    assert f"Tested: {operations}" in report, report
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in report, report


def test_a_document_that_is_not_true_is_found_out(
    api: ServiceProcess, document: dict[str, Any], tmp_path: Path
) -> None:
    agents = document["paths"]["/v1/agents"]["get"]["responses"]
    agents["200"]["content"] = {"application/json": {"schema": {"type": "array"}}}
    del agents["401"]
    deliveries = document["paths"]["/v1/webhook_deliveries"]["get"]
    (limit,) = (one for one in deliveries["parameters"] if one["name"] == "limit")
    limit["schema"]["maximum"] = 1000
    only = ["--include-operation-id", "list_agents", "--include-operation-id", "list_webhook_deliveries"]

    code, report = schemathesis(api, document, tmp_path, *only, "--phases", "coverage")

    assert code == 1, report
    for found in ("Response violates schema", "Undocumented status code", "Schema-valid request rejected"):
        assert found in report, report
