"""The examples of the client and its page in the docs, on real processes: the Python, and the curl beside it."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.redis_client import Redis
from tests.prompts import scripted
from tests.stack import Stack, stack

ROOT = Path(__file__).parents[2]
DOCS_URL = "http://127.0.0.1:8000"
OPEN = {"SLUICE_WEBHOOKS__ALLOW_HTTP": "true", "SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS": "true"}


@pytest.fixture
def open_stack(redis: Redis, redis_server: RedisServer, provider: ProviderProcess) -> Iterator[Stack]:
    """One that sends webhooks to this machine."""
    with stack(redis_server.url, provider.url, workers=1, **OPEN) as running:
        running.finished(running.submit("assistant", "The worker is there."))
        yield running


def run(command: list[str], url: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    outer = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    environment = outer | {"SLUICE_URL": url, "SLUICE_KEY": "any"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def example(name: str, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", f"examples.{name}", *arguments], url)


def curls(name: str) -> str:
    """The commands in the docstring of an example."""
    text = (ROOT / "examples" / f"{name}.py").read_text("utf-8").split('"""')[1].replace("\\\\\n", "\\\n")
    return "\n".join(line[4:] for line in text.splitlines() if re.match(r"    (curl|     )", line))


def blocks(language: str) -> list[str]:
    """The code of this language in docs/client.md."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "client.md").read_text("utf-8"), re.DOTALL)


DELETION = {"tools": [{"name": "delete_invoice", "input": {"number": "2026-001"}}]}


def typed(commands: str, url: str) -> str:
    """What these commands print in a shell; every curl of them must be answered with success."""
    if missing := [tool for tool in ("bash", "curl") if shutil.which(tool) is None]:
        pytest.skip(f"needs {' and '.join(missing)}")
    commands = commands.replace("curl ", "curl -sSf ").replace("$(uuidgen)", f"key-{secrets.token_hex(8)}")
    done = run(["bash", "-euc", commands], url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_submit_and_wait(running: Stack) -> None:
    done = example("client_submit", running.api.url, "How", "are", "you?")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "1 turns, $0." in done.stderr
    newest = next(running.client.list(agent="assistant"))
    assert (newest["input"], newest["output"]) == ("How are you?", done.stdout.rstrip("\n"))


def test_what_fails_is_told_in_a_line(running: Stack) -> None:
    failed = example("client_submit", running.api.url, 'Stop. <sim>{"refuse": true}</sim>')
    assert failed.returncode == 1
    assert "incomplete: {'reason': 'refusal'" in failed.stderr
    empty = example("client_submit", running.api.url, " ")
    assert empty.returncode == 1
    assert "invalid_request" in empty.stderr
    assert "Traceback" not in failed.stderr + empty.stderr


def test_stream(running: Stack) -> None:
    done = example("client_stream", running.api.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("→ succeeded") == 2
    jobs = [job for job, _ in zip(running.client.list(agent="researcher"), range(2), strict=False)]
    for job in jobs:
        assert job["output"]
        assert f"\n{job['input']}\n{job['output']}\n" in done.stdout


def test_webhook(open_stack: Stack) -> None:
    done = example("client_webhook", open_stack.api.url)
    assert done.returncode == 0, done.stderr
    job = next(open_stack.client.list())
    assert done.stdout == f"job.succeeded: {job['id']} said {job['output']!r}\n"
    assert open_stack.client.request("GET", "/v1/webhook_endpoints")["data"] == []


@pytest.mark.parametrize("name", ["client_submit", "client_stream", "client_webhook"])
def test_the_curl_beside_it_works(open_stack: Stack, name: str) -> None:
    made = open_stack.client.request("POST", "/v1/webhook_endpoints", body={"url": "http://127.0.0.1:1/"})
    job_id = open_stack.submit("assistant", "Hello")
    commands = curls(name).replace("JOB_ID", job_id).replace("whe_…", made["id"])
    assert commands.count("curl ") == (1 if name == "client_stream" else 2)
    said = typed(commands, open_stack.api.url)
    assert "event: job.succeeded" in said or '"object":"job"' in said


def test_the_docs_are_a_program_that_needs_the_one_file_alone(running: Stack, tmp_path: Path) -> None:
    shutil.copy(ROOT / "client" / "sluice_client.py", tmp_path)
    running.finished(running.submit("assistant", "Hello", session_id="chat-17"))
    program = "\n".join(blocks("python")).replace(DOCS_URL, running.api.url)
    (tmp_path / "program.py").write_text(program + '\nassert receive(b"{}", {}) == 400\n', "utf-8")
    done = run([sys.executable, str(tmp_path / "program.py")], running.api.url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("job.succeeded\n")


def test_the_curl_in_the_docs_works(running: Stack) -> None:
    running.finished(running.submit("assistant", "Hello", session_id="chat-17"))
    job_id = running.submit("assistant", "Hello")
    running.finished(job_id)
    asking = running.submit("invoices", scripted(turns=[DELETION, {"text": "Then not."}]))
    (action,) = running.asked(asking)
    found = blocks("bash")
    assert len(found) == 8
    for commands in found:
        decides = "ACTION_ID" in commands
        asked = commands.replace("ACTION_ID", action["id"]).replace("JOB_ID", asking if decides else job_id)
        typed(asked.replace(DOCS_URL, running.api.url), running.api.url)
    assert running.finished(asking)["status"] == "succeeded"
    assert "not_found" in run(["curl", "-sS", f"{running.api.url}/v1/jobs/{job_id}"], running.api.url).stdout
