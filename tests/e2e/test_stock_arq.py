"""A stock arq client beside the api: what it enqueues is run, and its own result tells how it ended."""

import json
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from tests.prompts import scripted
from tests.stack import Stack


def as_json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


async def test_what_a_stock_client_enqueues_is_run(
    shared_stack: tuple[Stack, ProviderProcess, RedisServer],
) -> None:
    running, _, redis = shared_stack
    running.finished(running.submit("assistant", "the workers are up"))
    arq = ArqRedis(ConnectionPool.from_url(redis.url), job_serializer=as_json, job_deserializer=json.loads)
    try:
        stock = await arq.enqueue_job("run_agent", agent="assistant", input=scripted(turns=[{"text": "Hello, arq."}]))
        assert stock is not None

        assert await stock.result(timeout=20, poll_delay=0.05) == "succeeded"

        job = running.job(stock.job_id)
        assert (job["status"], job["output"]) == ("succeeded", "Hello, arq.")
    finally:
        await arq.aclose(close_connection_pool=True)
