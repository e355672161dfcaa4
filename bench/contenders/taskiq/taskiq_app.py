import os

from job_log import body
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

URL, PROFILE = os.environ["BENCH_REDIS"], os.environ["BENCH_PROFILE"]


def stream_broker():
    chosen = {}
    if PROFILE == "recover":
        # defaults 600000, none, 2000
        chosen = {"idle_timeout": 5000, "unacknowledged_lock_timeout": 5, "xread_block": 1000}
    if PROFILE == "wall":
        chosen = {"xread_count": 1}  # default 100: a busy worker sits on what it read and cannot run yet
    return RedisStreamBroker(URL, **chosen)


def list_broker():
    # redis-py 8 has a socket_timeout of 5 s, and this broker's BRPOP has none: with both defaults the listener dies
    # after five idle seconds and its process is started anew. None is what redis-py had before.
    return ListQueueBroker(URL, socket_timeout=None)


broker = stream_broker() if os.environ["BENCH_VARIANT"] == "stream" else list_broker()
broker = broker.with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=3600))


@broker.task(task_name="job")
async def job(job: str, submitted: int, seconds: float, input: str) -> dict:
    return await body(job, submitted, seconds)
