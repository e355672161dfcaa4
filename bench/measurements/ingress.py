"""Submits over HTTP, beside what one would write by hand: the same server, the same body, the same load, in one run."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from bench.contender import Contender
from bench.ingress.baseline import BASELINES
from bench.measurement import Figures, Measurement, Sizes
from bench.process_tree import cpu_seconds
from bench.rig import MeasurementFailed, Rig
from local.guard import Guard
from shared.catalogue import AgentEntry, Catalogue
from shared.redis_client import close, connect

NAME = "ingress"
CONNECTIONS = 32
_ROOT = Path(__file__).parents[2]
_KEY = "the-key-of-the-bench"
_ENVIRONMENT = {
    "SLUICE_API__PORT": "0",
    "SLUICE_QUEUE__MAX_DEPTH": "100000000",
    "SLUICE_TENANTS": json.dumps({"bench": {"key_digests": [f"sha256:{sha256(_KEY.encode()).hexdigest()}"]}}),
}
_AGENT = AgentEntry(
    "assistant",
    "1",
    "Answers.",
    "default",
    [],
    {"max_turns": 20, "max_tokens": None, "max_cost_usd": None, "max_seconds": 3600},
)


def _profiles(contender: Contender) -> tuple[str, ...]:
    return ("default",) if contender.measurements and NAME in contender.measurements else ()


def _prepare(rig: Rig, sizes: Sizes) -> None:
    """What is accepted goes to the append-only file, as shipped."""
    asyncio.run(_announce(rig.store.url))
    rig.store.keep_on_disk()


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    """One server after the other, on the same store. CPU is that of the server's process for each request."""
    figures = _of("", ["-m", "api"], "/v1/jobs", rig, sizes)
    for name in BASELINES:
        figures |= _of(f"{name}_", ["-m", "bench.ingress.baseline", name, rig.store.url], "/jobs", rig, sizes)
    rates = {name: figure for name, figure in figures.items() if isinstance(figure, float)}
    return figures | {"of_evalsha_percent": 100 * rates["rate"] / rates["evalsha_rate"]}


def _of(prefix: str, server: list[str], path: str, rig: Rig, sizes: Sizes) -> Figures:
    with _served(server, rig.store.url) as (process, url):
        _load(url, path, sizes.http_seconds / 4)
        before = cpu_seconds(process.pid)
        said = _load(url, path, sizes.http_seconds)
        used = cpu_seconds(process.pid) - before
    if said["other"]:
        raise MeasurementFailed(f"{said['other']} answers of {path} were neither 200 nor 202")
    told = {name: said[name] for name in ("rate", "p50_ms", "p99_ms")} | {"cpu_us": used / said["answers"] * 1e6}
    return {prefix + name: figure for name, figure in told.items()}


@contextmanager
def _served(command: list[str], redis_url: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=_ROOT,
        env=_ENVIRONMENT | {"REDIS_URL": redis_url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    guard = Guard(process.pid)
    try:
        for line in process.stdout or ():
            if line.startswith("{") and "url" in (said := json.loads(line)):
                yield process, said["url"]
                return
        raise MeasurementFailed(f"{' '.join(command)} did not start")
    finally:
        guard.end()
        process.kill()
        process.communicate()


def _load(url: str, path: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.ingress.load", url, path, _KEY, str(CONNECTIONS), str(seconds)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60 + 2 * seconds)
    if done.returncode:
        raise MeasurementFailed(f"the load failed: {done.stderr[-300:]}")
    said: dict[str, float] = json.loads(done.stdout)
    return said


async def _announce(url: str) -> None:
    redis = connect(url)
    await Catalogue(redis).announce([_AGENT])
    await close(redis)


INGRESS = Measurement(NAME, _profiles, _prepare, _measure)
