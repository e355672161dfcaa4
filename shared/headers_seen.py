"""What a worker has seen of the headers of answers, and whether the gate has to be told."""

import math
from dataclasses import replace

from shared import clock
from shared.pool import Headroom, Limits, Pool, Reservation

HEARD_SECONDS = 0.06
"""How old may be what the gate has heard from anybody while they say that little is left."""
TOLD_WITHIN_SECONDS = 0.1
"""So long that waits for a request to travel with."""
_MISJUDGED, _MATTERS = 0.25, 0.002
"""Of what was reserved for a call, and of the limit: by so much more or less is news."""


class HeadersSeen:
    def __init__(self) -> None:
        self._limits: dict[str, dict[str, int]] = {}
        self._heard: dict[str, float] = {}

    def told_within(self, reservation: Reservation, headroom: Headroom) -> float | None:
        """In so many seconds the gate has to be told what the answer to a call began with; None: not at all."""
        name, now = reservation.pool.name, clock.monotonic()
        limits_are_new = headroom.limit and headroom.limit != self._limits.get(name)
        if limits_are_new or reservation.awaited or _misjudged(reservation, headroom):
            within = 0.0
        elif headroom.scarce and now - self._heard.get(name, -math.inf) >= HEARD_SECONDS:
            within = TOLD_WITHIN_SECONDS
        else:
            return None
        self._limits[name], self._heard[name] = dict(headroom.limit), now
        return within

    def heard(self, pool: Pool, seconds_ago: float) -> None:
        """The gate has heard of some answer's headers so long ago."""
        self._heard[pool.name] = max(self._heard.get(pool.name, -math.inf), clock.monotonic() - seconds_ago)

    def limits(self, pool: Pool) -> Limits:
        """Those that are known last."""
        said = {name: limit for name, limit in self._limits.get(pool.name, {}).items() if limit >= 1}
        return replace(pool.limits, **said)


def _misjudged(reservation: Reservation, headroom: Headroom) -> bool:
    """Whether the call is far from what was reserved for it, and far enough to matter to others."""
    if headroom.input_tokens is None:
        return False
    off = abs(headroom.input_tokens - reservation.input_tokens)
    return off > _MISJUDGED * reservation.input_tokens and off > _MATTERS * reservation.pool.limits.input
