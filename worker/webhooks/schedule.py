"""When a delivery is tried again."""

from shared import backoff

PAUSES_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Before the second attempt, the third … the tenth and last: three days in all (the schedule of Standard Webhooks)."""
_LONGEST_WISH_SECONDS = 86_400.0


def pause(tries: int, retry_after: float | None) -> float | None:
    """Seconds until the next attempt after so many have failed; None when it was the last. A receiver that says when
    it wants to be asked again (`Retry-After`) is not asked before that, but within a day."""
    if tries > len(PAUSES_SECONDS):
        return None
    planned = backoff.around(PAUSES_SECONDS[tries - 1])
    return max(planned, min(retry_after or 0.0, _LONGEST_WISH_SECONDS))
