"""What a job does in every Python contender: it leaves a line for each event, from which the runner derives all.

A line is `kind job submitted now pid attempt`; times are nanoseconds of CLOCK_MONOTONIC, which all processes of a
machine share, Python and node alike. One write to an O_APPEND descriptor costs a microsecond or two, so it does
not bend the drain rate. An attempt of 0 means that the library does not tell its jobs.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import cache

STARTED, ENDED, CANCELLED, BROKEN = "S", "E", "C", "X"

Answer = dict[str, int]
_ANSWER: Answer = {"ok": 1}
_BEAT_SECONDS = 1.0


def write(kind: str, job: str, submitted: int, attempt: int = 0) -> None:
    os.write(_file(), f"{kind} {job} {submitted} {time.monotonic_ns()} {os.getpid()} {attempt}\n".encode())


async def body(
    job: str,
    submitted: int,
    seconds: float,
    *,
    attempt: int = 0,
    beat: Callable[[], Awaitable[object]] | None = None,
) -> Answer:
    """`beat` is what a library wants its jobs to call about once a second."""
    write(STARTED, job, submitted, attempt)
    if seconds:
        try:
            await _wait(seconds, beat)
        except asyncio.CancelledError:
            write(CANCELLED, job, submitted, attempt)
            raise
        except BaseException:
            write(BROKEN, job, submitted, attempt)
            raise
        write(ENDED, job, submitted, attempt)
    return _ANSWER


def blocking_body(job: str, submitted: int, seconds: float, *, attempt: int = 0) -> Answer:
    """The same for libraries whose jobs are plain functions."""
    write(STARTED, job, submitted, attempt)
    if seconds:
        try:
            time.sleep(seconds)
        except BaseException:
            write(BROKEN, job, submitted, attempt)
            raise
        write(ENDED, job, submitted, attempt)
    return _ANSWER


async def _wait(seconds: float, beat: Callable[[], Awaitable[object]] | None) -> None:
    if beat is None:
        await asyncio.sleep(seconds)
        return
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await beat()
        await asyncio.sleep(min(_BEAT_SECONDS, left))


@cache
def _file() -> int:
    return os.open(os.environ["BENCH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
