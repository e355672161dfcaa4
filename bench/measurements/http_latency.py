"""The whole way of a job of ours: from `POST /v1/jobs` to the moment the provider receives the model call."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from bench.contender import Contender
from bench.figures import percentile
from bench.measurement import Figures, Measurement, Sizes
from bench.rig import MeasurementFailed, Rig
from bench.waiting import until
from local.provider_process import ProviderProcess
from local.service_process import ServiceProcess

NAME = "http_latency"
_AGENT = "assistant"
_ANSWER_SECONDS = 10
_START_SECONDS = 30
_WARMING = 5
_SHORTEST_GAP, _LONGEST_GAP = 0.1, 0.4
_WIDE = {
    "SLUICE_TARGETS__DEFAULT__REQUESTS_PER_MINUTE": "4000",
    "SLUICE_TARGETS__DEFAULT__INPUT_TOKENS_PER_MINUTE": "2000000",
    "SLUICE_TARGETS__DEFAULT__OUTPUT_TOKENS_PER_MINUTE": "400000",
}
"""Limits that are never reached, and those of the simulated provider: it is the way that is measured, not the gate."""


def _profiles(contender: Contender) -> tuple[str, ...]:
    return ("default",) if contender.measurements and NAME in contender.measurements else ()


def _prepare(rig: Rig, sizes: Sizes) -> None:
    """The stack is started by the measurement itself, which alone knows when it may end."""


def _measure(rig: Rig, sizes: Sizes) -> Figures:
    with _stack(rig) as (api, provider):
        _warm(api)
        submitted = _submit(api, sizes.samples)
        if not until(lambda: submitted.keys() <= _received(provider).keys(), _ANSWER_SECONDS):
            raise MeasurementFailed("not every job came to the provider")
        received = _received(provider)
    took = [1000 * (received[text] - at) for text, at in submitted.items()]
    return {"p50_ms": percentile(took, 50), "p99_ms": percentile(took, 99), "samples": len(took)}


@contextmanager
def _stack(rig: Rig) -> Iterator[tuple[httpx2.Client, ProviderProcess]]:
    """An api and a worker as they are shipped."""
    with ProviderProcess("--latency", "0") as provider:
        environment = _WIDE | {
            "REDIS_URL": rig.store.url,
            "ANTHROPIC_BASE_URL": provider.url,
            "ANTHROPIC_API_KEY": "simulated",
            "SLUICE_API__PORT": "0",
            "SLUICE_WORKER__HTTP_PORT": "0",
        }
        with (
            ServiceProcess("api", environment) as api,
            ServiceProcess("worker", environment),
            httpx2.Client(base_url=api.url, timeout=_ANSWER_SECONDS, trust_env=False) as client,
        ):
            yield client, provider


def _warm(api: httpx2.Client) -> None:
    """Until the worker's agents are known and whole jobs have run: connections, scripts and prices are there then."""
    if not until(lambda: _post(api, "warming") == httpx2.codes.ACCEPTED, _START_SECONDS):
        raise MeasurementFailed("the api takes no jobs")
    for _ in range(_WARMING):
        _post(api, "warming")
    if not until(lambda: _succeeded(api) > _WARMING, _START_SECONDS):
        raise MeasurementFailed("the first jobs did not end")


def _succeeded(api: httpx2.Client) -> int:
    return len(api.get("/v1/jobs", params={"status": "succeeded"}).json()["data"])


def _submit(api: httpx2.Client, count: int) -> dict[str, float]:
    """The text of each job → when its request was begun, on the clock that all processes here share."""
    gaps = random.Random(count)
    submitted: dict[str, float] = {}
    for number in range(count):
        time.sleep(gaps.uniform(_SHORTEST_GAP, _LONGEST_GAP))
        text = f"sample {number}"
        submitted[text] = time.monotonic()
        status = _post(api, text)
        if status != httpx2.codes.ACCEPTED:
            raise MeasurementFailed(f"the api answered {status}")
    return submitted


def _post(api: httpx2.Client, text: str) -> int:
    return api.post("/v1/jobs", json={"agent": _AGENT, "input": text}).status_code


def _received(provider: ProviderProcess) -> dict[str, float]:
    """The text of each job → when its model call came in, on the same clock."""
    started = provider.stats()["started_at"]
    return {call["conversation"]: started + call["started"] for call in provider.calls()}


HTTP_LATENCY = Measurement(NAME, _profiles, _prepare, _measure)
