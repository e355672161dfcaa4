import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from job_log import body

URL = os.environ["BENCH_REDIS"]
TIME_LIMIT_MS = int(os.environ["BENCH_TIME_LIMIT"]) * 1000

chosen = {}
if os.environ["BENCH_PROFILE"] == "recover":
    chosen = {"heartbeat_timeout": 5000, "maintenance_chance": 1_000_000}  # defaults 60000, 1000 (of a million)
broker = RedisBroker(url=URL, **chosen)
broker.add_middleware(AsyncIO())
broker.add_middleware(Results(backend=RedisBackend(url=URL), result_ttl=3_600_000))
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="job", queue_name="bench", time_limit=TIME_LIMIT_MS, store_results=True)
async def job(job, submitted, seconds, input):
    return await body(job, submitted, seconds)
