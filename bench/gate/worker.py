"""One worker process: its limiter, its callers, and the project's own client of the provider."""

import asyncio
import os
import time

import uvloop

from bench.gate import contenders
from bench.gate.call_log import CallLog
from bench.gate.contender import Surroundings
from bench.gate.crowd import Crowd
from bench.gate.plan import Plan, write_whole
from bench.gate.scenarios import BY_NAME
from bench.waiting import until
from shared.sections import DEFAULT_MODEL
from worker.provider_anthropic import AnthropicProvider

AFTERMATH_SECONDS = 1.0
"""For so long callers go on after the run's end, so that its last moment is like any other."""
_CONNECTIONS = 200
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.02


def work(plan: Plan, number: int) -> None:
    """Says that it is ready, waits for the start, and works until the end of the run."""
    write_whole(plan.ready(number), str(os.getpid()))
    if not until(plan.go.exists, _START_SECONDS, step=_LOOK_SECONDS):
        raise TimeoutError("there was no start")
    uvloop.run(_work(plan, number, began=float(plan.go.read_text("utf-8"))))


async def _work(plan: Plan, number: int, *, began: float) -> None:
    scenario = BY_NAME[plan.scenario].scaled(plan.scale)
    surroundings = Surroundings(plan.redis_url, scenario.told, number)
    provider = AnthropicProvider(
        model=DEFAULT_MODEL, base_url=plan.provider_url, api_key="simulated", max_connections=_CONNECTIONS
    )
    limiter = contenders.BY_NAME[plan.contender].make(surroundings)
    await _until(began + scenario.joins.get(number, 0))
    await limiter.open()
    crowd = Crowd(limiter, provider, CallLog(plan.log(number), began), seed=f"{plan.seed} {number}")
    await crowd.live(scenario.of_worker(number), until=began + scenario.seconds + AFTERMATH_SECONDS)
    await limiter.close()
    await provider.close()


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
