"""Time: measured time is monotonic and from here; stored time is Redis TIME, in milliseconds since the epoch.

Nothing else in the code base asks the machine what time it is, so nothing compares two machines' clocks.
"""

import time
from datetime import UTC, datetime, timedelta, tzinfo

DAY_MS = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def monotonic() -> float:
    """Seconds of this process's steady clock; only differences mean anything."""
    return time.monotonic()


def rfc3339(milliseconds: int | None) -> str | None:
    """A stored time as RFC 3339 UTC with milliseconds, `2026-01-31T12:00:00.000Z`; None stays None."""
    if milliseconds is None:
        return None
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 time. Raises ValueError when it has no zone or is no time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, for example 2026-01-31T12:00:00Z")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def wall_clock(zone: tzinfo) -> datetime:
    """What a clock on the wall of that zone shows: for people and models to read, never to be stored, nor compared
    with anything but a date that people have set."""
    return datetime.now(zone)
