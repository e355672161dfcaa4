"""Time as the provider sees it. The steady clock is passed in, so that tests can turn it by hand."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Now = Callable[[], float]
"""A steady clock in seconds; only differences mean anything."""

monotonic: Now = time.monotonic


def rfc3339_in(seconds: float) -> str:
    """The wall time that many seconds from now, `2026-01-31T12:00:00Z`, as the rate headers give it."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
