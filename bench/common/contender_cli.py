"""The command line that every contender obeys; bench/README.md has the contract.

What was said is also put into the environment (`BENCH_…`), as many libraries start processes of their own that import
the module with the job in it.
"""

import argparse
import asyncio
import os
from argparse import Namespace

PROFILES = ("default", "latency", "drain", "wall", "recover", "grace")
"""Which settings a process is to run with:

default   the library's own, but for the time limit of a job
latency   the best documented ones for a short way from submit to start
drain     … for many tiny jobs
wall      … for many long jobs at once
recover   … for a quick second start after a crash
grace     … for what becomes of a running job at SIGTERM
"""


def worker_options() -> Namespace:
    return _exported(_common().parse_args())


def driver_options() -> Namespace:
    parser = _common()
    parser.add_argument("action", choices=("submit", "latency"))
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--mode", choices=("single", "bulk"), default="single")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--input-bytes", type=int, default=0)
    parser.add_argument("--prefix", default="j")
    parser.add_argument("--shortest-gap", type=float, default=0.2)
    parser.add_argument("--longest-gap", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    return _exported(parser.parse_args())


def use_uvloop() -> None:
    """For workers of a library whose documentation advises it."""
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def _common() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--profile", choices=PROFILES, default="default")
    parser.add_argument("--slots", type=int, default=0, help="0 is the library's default")
    parser.add_argument("--time-limit", type=int, default=3600, help="seconds a job may run")
    parser.add_argument("--variant", default="")
    return parser


def _exported(options: Namespace) -> Namespace:
    os.environ.update(
        BENCH_REDIS=options.redis,
        BENCH_LOG=options.log,
        BENCH_PROFILE=options.profile,
        BENCH_VARIANT=options.variant,
        BENCH_SLOTS=str(options.slots),
        BENCH_TIME_LIMIT=str(options.time_limit),
    )
    return options
