"""SIGTERM and SIGINT: the first one asks a process to end well, and none may spoil a good end."""

import asyncio
import signal

_STOPPING = (signal.SIGTERM, signal.SIGINT)


def stop_events() -> tuple[asyncio.Event, asyncio.Event]:
    """Two events: the first signal sets the first, each further one the other."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, lambda: (hurry if stop.is_set() else stop).set())
    return stop, hurry


def let_go() -> None:
    """There is nothing left to hurry: a signal that comes now must not make a bad end of a good one, which the default
    that comes back with the end of the loop would do."""
    for number in _STOPPING:
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
