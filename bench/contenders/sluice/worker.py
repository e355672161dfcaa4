"""The worker process: as `worker.main`, without what serves models and operators."""

import asyncio
import signal

import uvloop

from bench.common import contender_cli
from bench.contenders.sluice import parts
from shared import log


async def main(profile: str, url: str, slots: int) -> None:
    """Works until SIGTERM has been carried out."""
    made = parts.Parts(url, slots=slots, lease_seconds=parts.lease_seconds(profile))
    stop, hurry = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    loops = [asyncio.create_task(loop) for loop in made.loops()]
    working = asyncio.create_task(made.work())

    await asyncio.wait([asyncio.create_task(stop.wait()), working], return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()
    working.cancel()
    await made.worker.drain(parts.drain_seconds(profile), hurry)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(working, *loops, return_exceptions=True)
    await made.redis.aclose(close_connection_pool=True)


if __name__ == "__main__":
    options = contender_cli.worker_options()
    log.configure()
    uvloop.run(main(options.profile, options.redis, options.slots))
