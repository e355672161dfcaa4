"""How long to wait before trying again.

Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): a uniform share of an
exponentially growing cap, so that many who failed at once do not come back at once.
"""

import random


def exponential(attempt: int, *, base: float, cap: float) -> float:
    """Seconds after the attempt-th failure in a row (1 is the first): base, 2·base, 4·base … up to the cap."""
    return min(cap, base * 2.0 ** min(attempt - 1, 30))


def full_jitter(attempt: int, *, base: float, cap: float) -> float:
    """A uniform share of `exponential`."""
    return random.uniform(0, exponential(attempt, base=base, cap=cap))


def spread(seconds: float, *, by: float = 0.2) -> float:
    """The same wait, up to `by` of it longer: for waits that must not be cut short."""
    return seconds * (1 + random.uniform(0, by))


def around(seconds: float, *, by: float = 0.2) -> float:
    """The same wait, up to `by` of it shorter or longer."""
    return seconds * random.uniform(1 - by, 1 + by)
