"""Submitting jobs and timing it; prints one line of JSON. A contender only says how one job and many are submitted."""

import asyncio
import inspect
import json
import random
import resource
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

Item = tuple[str, int, float, str]
"""A job's name, when it was submitted (ns), how long it runs (s), its input."""


class Driver(Protocol):
    """All methods may be plain or async. `bulk` says in the report what `submit_many` is."""

    bulk: str

    def open(self, options: Namespace) -> Any: ...
    def submit(self, job: str, submitted: int, seconds: float, input: str) -> Any: ...
    def submit_many(self, items: Sequence[Item]) -> Any: ...
    def close(self) -> Any: ...


def run(driver: Driver, options: Namespace) -> None:
    with suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(_run(driver, options))), flush=True)


async def together(items: Sequence[Item], submit: Callable[..., Awaitable[object]], width: int = 50) -> None:
    """`submit_many` for libraries without a bulk call: so many submits under way at once."""
    for first in range(0, len(items), width):
        await asyncio.gather(*(submit(*item) for item in items[first : first + width]))


async def _run(driver: Driver, options: Namespace) -> dict[str, Any]:
    await _done(driver.open(options))
    # Connections and scripts are there before the clock starts; the runner ignores this job.
    await _done(driver.submit(f"warm{options.prefix}", time.monotonic_ns(), 0, ""))
    said = await (_latency(driver, options) if options.action == "latency" else _submit(driver, options))
    await _done(driver.close())
    return said


async def _submit(driver: Driver, options: Namespace) -> dict[str, Any]:
    input = "x" * options.input_bytes
    cpu, began = _cpu_seconds(), time.monotonic_ns()
    if options.mode == "single":
        for number in range(options.count):
            submitting = driver.submit(f"{options.prefix}{number}", time.monotonic_ns(), options.seconds, input)
            if inspect.isawaitable(submitting):
                await submitting
    else:
        items = [(f"{options.prefix}{n}", time.monotonic_ns(), options.seconds, input) for n in range(options.count)]
        await _done(driver.submit_many(items))
    took = time.monotonic_ns() - began
    return {
        "began": began,
        "rate": options.count / (took / 1e9),
        "cpu_us_per_job": (_cpu_seconds() - cpu) / options.count * 1e6,
        "bulk": driver.bulk,
    }


async def _latency(driver: Driver, options: Namespace) -> dict[str, Any]:
    """One job now and then, so that each finds an idle worker, at no fixed phase of whatever that polls with."""
    gaps = random.Random(options.seed)
    for number in range(options.count):
        await asyncio.sleep(gaps.uniform(options.shortest_gap, options.longest_gap))
        await _done(driver.submit(f"{options.prefix}{number}", time.monotonic_ns(), 0, ""))
    return {"submitted": options.count}


async def _done(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
