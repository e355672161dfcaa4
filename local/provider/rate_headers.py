"""The `anthropic-ratelimit-*` headers of an answer.

Source: https://platform.claude.com/docs/en/api/rate-limits#response-headers
"""

from local.provider.buckets import Bucket
from local.provider.clock import rfc3339_in
from local.provider.limits import Limits

_ROUND_TO = 1_000
_SMALL_LIMIT = 10_000
"""Token limits below this are given exactly: rounding to the nearest thousand would hide all of them."""


def rate_headers(limits: Limits) -> dict[str, str]:
    """Limit, remaining and reset (RFC 3339, when the bucket is full again) of each dimension.

    `tokens` repeats the tighter of input and output, the one with less left.
    """
    tightest = min(limits.input_tokens, limits.output_tokens, key=Bucket.level)
    return {
        **_headers("requests", limits.requests, int(max(0.0, limits.requests.level()))),
        **_headers("input-tokens", limits.input_tokens, _remaining_tokens(limits.input_tokens)),
        **_headers("output-tokens", limits.output_tokens, _remaining_tokens(limits.output_tokens)),
        **_headers("tokens", tightest, _remaining_tokens(tightest)),
    }


def _headers(name: str, bucket: Bucket, remaining: int) -> dict[str, str]:
    prefix = f"anthropic-ratelimit-{name}"
    return {
        f"{prefix}-limit": str(int(bucket.limit)),
        f"{prefix}-remaining": str(remaining),
        f"{prefix}-reset": rfc3339_in(bucket.seconds_to_full()),
    }


def _remaining_tokens(bucket: Bucket) -> int:
    level = max(0.0, bucket.level())
    if bucket.limit < _SMALL_LIMIT:
        return int(level)
    return round(level / _ROUND_TO) * _ROUND_TO
