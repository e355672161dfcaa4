"""The worker process: as `worker.main`, without what serves models and operators."""

import asyncio
import signal

import uvloop

from bench.common import contender_cli
from bench.contenders.sluice.parts import Parts
from shared import log


async def main(profile: str, url: str, slots: int) -> None:
    """Works until SIGTERM has been carried out."""
    parts = Parts(url, slots=slots, profile=profile)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    loops = [asyncio.create_task(loop) for loop in parts.start()]
    working = loops[0]

    await asyncio.wait([asyncio.create_task(stop.wait()), working], return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()  # raises what it broke on
    working.cancel()
    await parts.drain()
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    await parts.close()


if __name__ == "__main__":
    options = contender_cli.worker_options()
    log.configure()
    uvloop.run(main(options.profile, options.redis, options.slots))
