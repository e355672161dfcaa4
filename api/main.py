"""The api process: settings, application, one subscription, and an orderly end."""

import argparse
import asyncio
import gc
import sys

import uvloop

from api import keygen
from api.app import create_app
from api.exchange import no_http
from api.followers import keep_calling
from api.parts import Parts
from shared import log
from shared.errors import SettingsError
from shared.http_server import server
from shared.listener import listen
from shared.redis_client import close, connect
from shared.settings import Settings, load, without_effect
from shared.signals import let_go, stop_events

logger = log.get(__name__)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="check the settings, then exit")
    keygen.add_command(parser.add_subparsers(dest="command", metavar="COMMAND"))
    options = parser.parse_args(arguments)
    if options.command == "keygen":
        return keygen.run(options.tenant, options.name, options.scopes)
    try:
        settings = load("api")
        if options.check:
            print("settings are good")
            return 0
        log.configure()
        for name in without_effect(settings):
            logger.warning("setting_without_effect", setting=name)
        return uvloop.run(run(settings))
    except SettingsError as error:  # that a port is taken, only the start can tell
        print(error, file=sys.stderr)
        return 2


def _up(url: str) -> None:
    """From here on the garbage collector looks for what requests leave behind, and no more at the code and models of
    all that was imported: that took a fifth of the time of a submit, and stopped everybody for some 50 ms. Nor does it
    look at each 700 objects more, which a few open requests have and drop by themselves."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    logger.info("api_up", url=url)


async def run(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT, and `api.drain_seconds` longer without taking work; a second signal cuts that
    short. Open requests are answered first."""
    redis = connect(settings.redis.url.get_secret_value())
    parts = Parts(settings, redis)
    http = server(
        create_app(parts),
        section="api",
        host=settings.api.host,
        port=settings.api.port,
        on_up=_up,
        no_http=no_http,
    )
    stop, hurry = stop_events()
    followers = parts.followers
    loops = [
        asyncio.create_task(listen(redis, followers.channels, followers.changed, followers.look_again)),
        asyncio.create_task(keep_calling(followers, parts.events)),
    ]
    serving = asyncio.create_task(http.run_until_exit())
    await asyncio.wait([asyncio.create_task(stop.wait()), serving], return_when=asyncio.FIRST_COMPLETED)
    failed = not stop.is_set()
    parts.draining = True
    if settings.api.drain_seconds:
        await _still_open(settings.api.drain_seconds, hurry, serving)
    followers.close()
    http.should_exit = True
    await serving
    for loop in loops:
        loop.cancel()
    await asyncio.wait(loops)
    await close(redis)
    let_go()
    logger.info("stopped")
    return 1 if failed else 0


async def _still_open(seconds: float, hurry: asyncio.Event, serving: asyncio.Task[None]) -> None:
    """Whoever sends requests here has this time to see that they should go elsewhere."""
    logger.info("draining", at_most_seconds=seconds)
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait([hurried, serving], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
