"""How long to wait before trying again.

Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): a uniform share of an
exponentially growing cap, so that many who failed at once do not come back at once.
"""

import random


def full_jitter(attempt: int, *, base: float, cap: float) -> float:
    """Seconds to wait after the attempt-th failure in a row (1 is the first): uniform in 0..min(cap, base·2^n)."""
    return random.uniform(0, min(cap, base * 2 ** min(attempt - 1, 30)))


def spread(seconds: float, *, by: float = 0.2) -> float:
    """The same wait, up to `by` of it longer: for waits that must not be cut short."""
    return seconds * (1 + random.uniform(0, by))
