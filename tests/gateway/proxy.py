"""A real LiteLLM proxy as a child process, with the config that deploy/gateway ships, in front of any provider."""

import os
import secrets
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from local.guard import Guard
from shared import clock

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "deploy/gateway/config.yaml"
PROGRAM = Path(__file__).parent / ".venv/bin/litellm"
_START_SECONDS = 90
_STEP_SECONDS = 0.1
_LAST_CHARACTERS = 2_000


class LiteLLMProxy:
    """`with LiteLLMProxy(provider.url) as gateway: ...`; `kill` and `start` keep its address."""

    def __init__(self, provider_url: str) -> None:
        self.key = f"sk-{secrets.token_hex(16)}"
        """What callers have to show."""
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [str(PROGRAM), "--config", str(CONFIG), "--host", "127.0.0.1", "--port", str(port)]
        self._environment = {
            "PATH": os.environ["PATH"],
            "LITELLM_MASTER_KEY": self.key,
            "ANTHROPIC_API_KEY": "the-providers-key",
            "ANTHROPIC_API_BASE": provider_url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - __exit__ closes it
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def start(self) -> Self:
        """Returns when it answers."""
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._guard = Guard(self._process.pid)
        deadline = clock.monotonic() + _START_SECONDS
        while not self._is_ready():
            assert not self._ends_within(_STEP_SECONDS), f"the proxy ended:\n{self._last_words()}"
            assert clock.monotonic() < deadline, f"the proxy did not start:\n{self._last_words()}"
        return self

    def kill(self) -> None:
        """SIGKILL: connections break. Safe to call twice."""
        if self._process is not None and self._guard is not None:
            self._process.kill()
            self._process.wait()
            self._guard.end()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._log.close()

    def _is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/health/readiness", timeout=5, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False

    def _ends_within(self, seconds: float) -> bool:
        try:
            return self._process is None or self._process.wait(seconds) is not None
        except subprocess.TimeoutExpired:
            return False

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read()[-_LAST_CHARACTERS:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
