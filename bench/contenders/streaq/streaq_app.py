import os

from job_log import body
from streaq import Worker

PROFILE, SLOTS = os.environ["BENCH_PROFILE"], int(os.environ["BENCH_SLOTS"])

chosen = {}
if SLOTS:
    chosen["concurrency"] = SLOTS  # default 16
if PROFILE == "recover":
    chosen["idle_timeout"] = 4  # default 60; renewed by the worker
if PROFILE == "grace":
    chosen["grace_period"] = 60  # default 0
if PROFILE == "wall":
    chosen["prefetch"] = 1  # default = concurrency: taken, but not running yet
worker = Worker(redis_url=os.environ["BENCH_REDIS"], **chosen)


@worker.task(name="job", timeout=int(os.environ["BENCH_TIME_LIMIT"]), silent=True)
async def job(job: str, submitted: int, seconds: float, input: str) -> dict:
    return await body(job, submitted, seconds)
