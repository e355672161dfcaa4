"""What a worker has seen of the headers of answers, and whether the gate has to be told."""

import math
from dataclasses import replace

from shared import clock
from shared.pool import Headroom, Limits, Pool, Reservation

LESS_SECONDS, AS_EXPECTED_SECONDS = 0.06, 0.3
"""How old may be what the gate has heard from anybody while little is left: less than it thinks, and not less."""
TOLD_WITHIN_SECONDS = 0.2
"""So long waits for a request to travel with what is not less."""
_MISJUDGED, _MATTERS = 0.25, 0.002
"""Of what was reserved for a call, and of the limit: by so much more or less is news."""


class HeadersSeen:
    def __init__(self) -> None:
        self._limits: dict[str, dict[str, int]] = {}
        self._heard: dict[str, float] = {}

    def told_within(self, reservation: Reservation, headroom: Headroom, *, awaited: bool) -> float | None:
        """In so many seconds the gate has to be told what the answer to a call began with; None: not at all.

        `awaited`: that it began is news.
        """
        name, now = reservation.pool.name, clock.monotonic()
        limits_are_new = headroom.limit and headroom.limit != self._limits.get(name)
        if limits_are_new or awaited or _misjudged(reservation, headroom):
            within: float | None = 0.0
        else:
            within = levels_told_within(reservation, headroom, now - self._heard.get(name, -math.inf))
        if within is None:
            return None
        if headroom.limit:
            self._limits[name] = dict(headroom.limit)
        if headroom.remaining:
            self._heard[name] = now
        return within

    def heard(self, pool: Pool, seconds_ago: float) -> None:
        """The gate has heard of some answer's headers so long ago."""
        self._heard[pool.name] = max(self._heard.get(pool.name, -math.inf), clock.monotonic() - seconds_ago)

    def limits(self, pool: Pool) -> Limits:
        """Those that are known last."""
        said = {name: limit for name, limit in self._limits.get(pool.name, {}).items() if limit >= 1}
        return replace(pool.limits, **said)


def levels_told_within(reservation: Reservation, headroom: Headroom, heard_ago: float) -> float | None:
    """In so many seconds the gate has to be told of what is left, having heard so long ago of it; None: not at all.

    What is not less than the gate thinks changes nothing but how sure it is.
    """
    scarce = headroom.scarce
    if not scarce or heard_ago < LESS_SECONDS:
        return None
    if any(_is_less(name, reservation, headroom) for name in scarce):
        return 0.0
    return TOLD_WITHIN_SECONDS if heard_ago >= AS_EXPECTED_SECONDS else None


def _is_less(name: str, reservation: Reservation, headroom: Headroom) -> bool:
    """Of input and requests the gate takes as gone what may be on its way; of output it knows no more than a mean."""
    if name not in reservation.leaves:
        return True
    least = float(reservation.leaves[name])
    if name == "output":
        least -= _MATTERS * headroom.limit.get(name, 0)
    if name == "input" and headroom.input_tokens is not None:
        least -= headroom.input_tokens - reservation.input_tokens
    return headroom.remaining[name] < max(0, least)


def _misjudged(reservation: Reservation, headroom: Headroom) -> bool:
    """Whether the call is far from what was reserved for it, and far enough to matter to others."""
    if headroom.input_tokens is None:
        return False
    off = abs(headroom.input_tokens - reservation.input_tokens)
    return off > _MISJUDGED * reservation.input_tokens and off > _MATTERS * reservation.pool.limits.input
