"""The worker process: settings, parts, loops, and an orderly end.

SIGTERM or SIGINT drains: no new jobs, running ones end their turn and go back to the queue with what they have.
A second one gives everything back at once. The exit code is 0 either way.
"""

import argparse
import asyncio
import sys
from collections.abc import Coroutine, Iterator, Mapping

import uvloop

from shared import clock, log
from shared.catalogue import ANNOUNCE_SECONDS
from shared.errors import SettingsError
from shared.gate import KEEP_SECONDS
from shared.http_server import server
from shared.listener import listen
from shared.redis_client import ping, until_reachable
from shared.retention import SWEEP_SECONDS
from shared.settings import Settings, load, without_effect
from shared.signals import let_go, stop_events
from worker import operations, pricing
from worker.agents import Agent, registry
from worker.background import SOON_SECONDS, every
from worker.parts import Parts

logger = log.get(__name__)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="check the settings and the agents, then exit")
    options = parser.parse_args(arguments)
    try:
        settings = load("worker")
        agents = registry.load(settings.worker.agents, settings.chains)
        if options.check:
            print(f"settings are good; agents: {', '.join(agents)}")
            return 0
        log.configure()
        pricing.warm_up()
        for target in settings.targets.values():
            pricing.has_price(target.provider, target.model)  # said at start, not when money is at stake
        for name in without_effect(settings):
            logger.warning("setting_without_effect", setting=name)
        return uvloop.run(run(settings, agents))
    except SettingsError as error:  # that a port is taken, only the start can tell
        print(error, file=sys.stderr)
        return 2


async def run(settings: Settings, agents: Mapping[str, Agent]) -> int:
    """Works until a signal has been carried out; returns the exit code."""
    parts = Parts(settings, agents)
    stop, hurry = stop_events()
    http = server(
        operations.app(parts.probe),
        section="worker (http_host, http_port)",
        host=settings.worker.http_host,
        port=settings.worker.http_port,
        on_up=lambda url: logger.info("worker_up", worker=parts.owner, operations=url),
    )
    serving = asyncio.create_task(http.run_until_exit())
    parts.keeper.start()
    loops = [asyncio.create_task(loop) for loop in _loops(parts)]
    working = asyncio.create_task(_work(parts))

    told, unkept = asyncio.create_task(stop.wait()), asyncio.create_task(parts.keeper.ended.wait())
    await asyncio.wait([told, unkept, working, serving], return_when=asyncio.FIRST_COMPLETED)
    asked = stop.is_set()
    logger.info("draining", jobs=len(parts.executor.running), at_most_seconds=settings.worker.drain_seconds)
    working.cancel()
    parts.keeper.drain()
    by = clock.monotonic() + settings.worker.drain_seconds
    await parts.worker.drain(settings.worker.drain_seconds, hurry)  # its leases are still kept
    for loop in loops:
        loop.cancel()
    await parts.courier.drain(by - clock.monotonic(), hurry)
    http.should_exit = True
    ended = await asyncio.gather(working, serving, *loops, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            logger.error("part_broke", error=f"{type(error).__name__}: {error}")
    await parts.keeper.stop()
    await parts.close()
    let_go()
    logger.info("stopped")
    return 0 if asked else 1


async def _work(parts: Parts) -> None:
    await until_reachable(lambda: ping(parts.redis))
    await parts.worker.async_run()


def _loops(parts: Parts) -> Iterator[Coroutine[None, None, None]]:
    yield every(KEEP_SECONDS, "gate", parts.gate.keep)
    yield listen(parts.redis, parts.gate.channel, on_message=parts.gate.hear, on_connect=lambda: None)
    yield from parts.courier.loops()
    yield every(SWEEP_SECONDS, "janitor", parts.janitor.sweep)
    yield every(ANNOUNCE_SECONDS, "catalogue", parts.announce)
    yield every(SOON_SECONDS, "new_tools", parts.announce_change)
    yield from parts.toolbox.loops()
