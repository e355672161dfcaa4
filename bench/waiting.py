"""Waiting for a condition; and the few whiles that a measurement really has to last."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float, *, step: float = 0.05) -> bool:
    """Whether the condition held within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def observe(seconds: float) -> float:
    """Lets things be for a while, because that is what is measured; how long it really was."""
    began = time.monotonic()
    time.sleep(seconds)
    return time.monotonic() - began
