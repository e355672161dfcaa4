"""What one would write by hand, on the server of the api: `python -m bench.ingress.baseline NAME REDIS_URL`.

`constant` answers without asking anybody; `evalsha` writes the body into Redis by one script of a few commands; `arq`
enqueues it with arq. Each is one route of FastAPI that reads a JSON body, checked by a model of two fields. Prints its
address as the api does.
"""

import json
import sys
import uuid
from contextlib import suppress
from typing import Any

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import BlockingConnectionPool, Redis

from shared.http_server import server

SCRIPT = """
redis.call('HSET', 'job:' .. ARGV[1], 'agent', ARGV[2], 'input', ARGV[3], 'status', 'queued')
redis.call('ZADD', 'queue', redis.call('TIME')[1], ARGV[1])
return redis.call('ZCARD', 'queue')
"""


class Job(BaseModel):
    agent: str
    input: str


def accepted(job_id: str, waiting: int) -> dict[str, Any]:
    return {"id": job_id, "status": "queued", "waiting": waiting}


async def constant(url: str) -> Any:
    async def submit(job: Job) -> dict[str, Any]:
        return accepted("job", 0)

    return submit


async def evalsha(url: str) -> Any:
    redis: Any = Redis(connection_pool=BlockingConnectionPool.from_url(url, max_connections=100))
    sha = await redis.script_load(SCRIPT)

    async def submit(job: Job) -> dict[str, Any]:
        job_id = str(uuid.uuid4())
        return accepted(job_id, await redis.evalsha(sha, 0, job_id, job.agent, job.input))

    return submit


async def arq(url: str) -> Any:
    pool = await create_pool(RedisSettings.from_dsn(url))

    async def submit(job: Job) -> dict[str, Any]:
        made = await pool.enqueue_job("run", job.agent, job.input)
        assert made is not None
        return accepted(made.job_id, 0)

    return submit


BASELINES = {"constant": constant, "evalsha": evalsha, "arq": arq}


async def serve(name: str, url: str) -> None:
    app = FastAPI()
    app.post("/jobs", status_code=202)(await BASELINES[name](url))
    up = {"event": "api_up"}
    await server(
        app,
        section="api",
        host="127.0.0.1",
        port=0,
        on_up=lambda address: print(json.dumps(up | {"url": address}), flush=True),
    ).run_until_exit()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(serve(sys.argv[1], sys.argv[2]))
