"""`python -m local up`: it runs jobs, keeps them, mends itself where it can, and ends without leaving anything."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from local.interrupt import Interrupt
from local.stack import LocalStack, Plan, StackError, free_or_any
from tests.local.processes import assert_gone, begin, child, children, read_until, run

Up = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Starts it on a folder and a port of the test's own; ends what the test has left."""
    processes = []

    def start(**settings: str) -> subprocess.Popen[str]:
        processes.append(begin("up", "--data", str(tmp_path), SLUICE_API__PORT="0", **settings))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def welcome(process: subprocess.Popen[str]) -> httpx2.Client:
    """The api, at the address of the curl line that is printed to be copied."""
    said = read_until(process, "JOB_ID")
    command = re.search(r"curl -s (\S+)/v1/jobs -H", said)
    assert command, said
    return httpx2.Client(base_url=command[1], timeout=30, trust_env=False)


def ended(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> str:
    """Stops it; what it still said. It must leave nothing."""
    started = children(process.pid)
    process.send_signal(number)
    said, _ = process.communicate(timeout=15)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert_gone(started)
    return said


def test_a_job_runs_and_is_kept(up: Up, tmp_path: Path) -> None:
    first = up()
    with welcome(first) as api:
        job = api.post("/v1/jobs", json={"agent": "invoices", "input": "Which ones are unpaid?"}).json()
        finished = api.get(f"/v1/jobs/{job['id']}", params={"wait": 0}).json()
        while finished["status"] in ("queued", "running"):
            finished = api.get(f"/v1/jobs/{job['id']}", params={"wait": 10}).json()
        assert finished["status"] == "succeeded"
    another = run("up", "--data", str(tmp_path))
    assert another.returncode == 1
    assert "Another stack is up" in another.stderr
    assert "Jobs are kept" in ended(first)

    second = up()
    with welcome(second) as api:
        assert api.get(f"/v1/jobs/{job['id']}").json() == finished
    ended(second, signal.SIGTERM)


def test_ctrl_c_lets_turns_end_and_a_second_one_does_not(up: Up) -> None:
    process = up()
    with welcome(process) as api:
        slow = 'Hello <sim>{"latency": 60}</sim>'
        job = api.post("/v1/jobs", json={"agent": "assistant", "input": slow}).json()
        while api.get(f"/v1/jobs/{job['id']}").json()["status"] != "running":
            pass
        process.send_signal(signal.SIGINT)
        read_until(process, "draining")
        assert api.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"
    said = ended(process)
    assert "job_released" in said


def test_a_worker_is_replaced_and_the_api_is_not(up: Up) -> None:
    process = up()
    welcome(process).close()
    started = children(process.pid)
    os.kill(child(process.pid, "-m worker"), signal.SIGKILL)
    assert "SIGKILL" in read_until(process, "is running again")
    os.kill(child(process.pid, "-m api"), signal.SIGKILL)
    said, _ = process.communicate(timeout=15)
    assert process.returncode == 1
    assert "api was ended by SIGKILL" in said
    assert_gone(started)


def test_nothing_outlives_a_parent_that_is_killed(up: Up) -> None:
    process = up()
    welcome(process).close()
    started = children(process.pid)
    process.kill()
    assert_gone(started)


def test_settings_of_the_user_count_but_cost_nothing(up: Up, tmp_path: Path) -> None:
    (tmp_path / "sluice.toml").write_text(
        '[targets.best]\nmodel = "my-model"\nbase_url = "https://paid.invalid"\napi_key_env = "PAID_KEY"\n'
        '[worker]\nagents = ["examples.invoices"]\n[queue]\nmax_depth = 7\n'
    )
    process = up(SLUICE_CONFIG=str(tmp_path / "sluice.toml"), SLUICE_TARGETS__BEST__MAX_IN_FLIGHT="3")
    with welcome(process) as api:
        answer = api.post("/v1/jobs", json={"agent": "assistant", "input": "Hello"}, headers={"Prefer": "wait=20"})
        assert answer.headers["RateLimit-Policy"].endswith("q=7")
        assert answer.json()["status"] == "succeeded"
        assert answer.json()["model"]["served"] == "my-model"
    ended(process)


def test_a_part_that_does_not_start_says_why() -> None:
    stack = LocalStack(Plan(settings={"SLUICE_QUEUE__MAX_DEPTH": "0"}, workers=1))
    with Interrupt() as interrupt:
        try:
            with pytest.raises(StackError, match=r"(?s)did not start:.*max_depth"):
                stack.start(interrupt)
        finally:
            stack.stop()


def test_a_taken_port_becomes_any_other(redis_server) -> None:
    assert free_or_any(redis_server.port) == 0
