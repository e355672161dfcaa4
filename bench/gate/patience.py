"""How long a contender without a policy of its own waits after a 429 or an outage, as ours does between attempts."""

from shared import backoff
from worker.provider import ProviderError

_BASE_SECONDS = 0.5
_CAP_SECONDS = 20


def pause(error: ProviderError, failures: int) -> float:
    """Seconds: never less than `retry-after`, else exponential with full jitter. `failures` is 1 after the first."""
    if error.retry_after is not None:
        return backoff.spread(error.retry_after)
    return backoff.full_jitter(failures, base=_BASE_SECONDS, cap=_CAP_SECONDS)
