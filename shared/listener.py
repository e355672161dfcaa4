"""Listening to a Redis channel for as long as the process lives, over lost connections."""

import asyncio
from collections.abc import Callable

from shared import backoff, log
from shared.redis_client import ANSWER_SECONDS, Redis, reachable

logger = log.get(__name__)

_PATIENCE_SECONDS = 10.0
"""How long nothing has to be heard before we ask whether anybody is there."""


async def listen(
    redis: Redis, channel: str | tuple[str, ...], on_message: Callable[[str], None], on_connect: Callable[[], None]
) -> None:
    """Calls `on_message` with each text sent to the channel, or to one of them, until cancelled.

    Redis keeps nothing for a listener that was away: `on_connect` is called after each (re)connection, for
    whoever has to look again. A machine that vanishes says no goodbye, and a listener sends nothing that could fail:
    so silence is asked for a sign of life.
    """
    channels = (channel,) if isinstance(channel, str) else channel
    failures = 0
    while True:
        try:
            # It listens for ever; each read has a time-out of its own. Only silence reads as None: a confirmation that
            # was ignored would, too, and two of them would look like nobody being there.
            async with reachable(None), redis.pubsub(ignore_subscribe_messages=False) as subscription:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await subscription.subscribe(*channels)
                on_connect()
                if failures:
                    logger.info("listening_again", channel=channels[0])
                failures = 0
                asked = False
                while True:
                    message = await subscription.get_message(timeout=ANSWER_SECONDS if asked else _PATIENCE_SECONDS)
                    if message and message["type"] == "message":
                        on_message(message["data"])
                    elif message is None and asked:
                        raise TimeoutError("the connection is dead")
                    asked = message is None
                    if asked:
                        async with asyncio.timeout(ANSWER_SECONDS):
                            await subscription.ping()
        except Exception as error:
            failures += 1
            if failures == 1:
                logger.warning("listening_interrupted", channel=channels[0], reason=str(error))
            await asyncio.sleep(backoff.full_jitter(failures, base=0.1, cap=2))
