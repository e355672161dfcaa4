"""The process: how it starts, how it ends, what it can be told."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from local.provider.settings import Settings, parse
from local.provider_process import ProviderError, ProviderProcess

ROOT = Path(__file__).parents[2]


def test_it_announces_itself_and_ends_cleanly():
    command = [sys.executable, "-m", "local.provider", "--model", "my-model"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        line = json.loads(process.stdout.readline())
        assert line["event"] == "listening"
        headers = {"x-api-key": "any", "anthropic-version": "2026-10-21"}
        with httpx2.Client(base_url=line["url"], headers=headers, trust_env=False) as client:
            assert client.get("/v1/models/my-model").json()["id"] == "my-model"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


async def test_it_ends_with_the_process_that_started_it(eventually):
    script = (
        "from local.provider_process import ProviderProcess\n"
        "import os, signal\n"
        "provider = ProviderProcess().start()\n"
        "print(provider.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    pid = int(done.stdout)
    await eventually(lambda: not is_alive(pid))


def is_alive(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_wrong_flag_is_reported():
    with pytest.raises(ProviderError, match="--burst"):
        ProviderProcess("--burst", "0").start()


def test_stopping_twice_is_fine():
    provider = ProviderProcess().start()
    pid = provider.pid
    provider.stop()
    provider.stop()
    assert not is_alive(pid)
    with pytest.raises(ProviderError):
        _ = provider.pid


def test_flags():
    assert parse([]) == Settings()
    settings = parse(["--requests-per-minute", "50", "--model", "a", "--model", "b", "--charge-refused"])
    assert (settings.requests_per_minute, settings.models, settings.charge_refused) == (50, ("a", "b"), True)
