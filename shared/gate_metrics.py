"""The gate's pools for Prometheus. They stand in Redis, so they are read at each scrape and kept by no process; every
api shows the same. No tenant is named here: `/metrics` needs no key.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from shared.pool import DIMENSIONS, HELD_UP_BY

_PREFIX = "sluice_gate_"

# Each has the label `pool`, and most one more. Of every dimension:
_BUCKETS = {
    "limit_per_minute": "What the provider allows a minute.",
    "limit_learned": "1 when the provider's answers said that limit, 0 when it is the configured one.",
    "capacity": "The most that is ever left at once.",
    "remaining": "What is left now, below 0 in debt.",
    "reserved": "Taken for calls in flight; of output tokens what they are expected still to say.",
    "used_last_minute": "What calls used in the last minute, as far as is known.",
}
_GAUGES = {name: ("dimension", text) for name, text in _BUCKETS.items()} | {
    "waiting_calls": ("priority", "Calls in line, by the priority of their jobs."),
    "waiting_tenants": ("", "Tenants that the calls in line belong to."),
    "expected_wait_seconds": ("priority", "How long a call that comes now may wait, roughly."),
    "calls_in_flight": ("", "Calls in flight, of all workers."),
    "max_calls_in_flight": ("", "As many may be in flight, fewer for a while after an outage."),
    "held_up": ("by", "1 for what holds calls up, as held_up_by of /v1/limits."),
    "breaker": ("state", "1 for the state of the breaker: closed, open or half."),
    "retry_seconds": ("", "Time until calls may pass again, 0 while they may."),
    "pace_ratio": ("", "The share of the limits that is used, less than 1 for a while after 429s."),
    "answer_tokens_per_second": ("", "How fast a single answer comes, as learned; absent before the first."),
    "refused_last_minute": ("", "429s in the last minute."),
}
_COUNTERS = {
    "refused": "429s seen, by all workers.",
    "failures": "Overloads, server errors and lost connections seen, by all workers.",
}


class GateCollector:
    """Shows what it was told last. Between `tell` and the exposition nothing may be awaited."""

    def __init__(self) -> None:
        self._pools: Mapping[str, dict[str, Any]] = {}

    def tell(self, pools: Mapping[str, dict[str, Any]]) -> None:
        """What GateInspector saw, by pool. Of none, while Redis is away, there are no samples."""
        self._pools = pools

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {
            name: GaugeMetricFamily(_PREFIX + name, text, labels=["pool", label] if label else ["pool"])
            for name, (label, text) in _GAUGES.items()
        }
        families |= {
            name: CounterMetricFamily(_PREFIX + name, text, labels=["pool"]) for name, text in _COUNTERS.items()
        }
        for pool, seen in self._pools.items():
            for name, labelled, value in _samples(seen):
                families[name].add_metric([pool, labelled] if labelled else [pool], value)  # type: ignore[attr-defined]
        return iter(families.values())


def _samples(seen: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Name, the second label's value or '', number."""
    for field, dimension in DIMENSIONS.items():
        bucket = seen[field]
        yield "limit_per_minute", dimension, bucket["limit"]
        yield "limit_learned", dimension, bucket["learned"]
        yield "capacity", dimension, bucket["capacity"]
        yield "remaining", dimension, bucket["level"]
        yield "reserved", dimension, bucket["reserved"]
        yield "used_last_minute", dimension, max(0, bucket["used"])
    for priority, count in seen["waiting"].items():
        yield "waiting_calls", priority, count
        yield "expected_wait_seconds", priority, seen["expected_ms"][priority] / 1000
    yield "waiting_tenants", "", seen["tenants"]
    yield "calls_in_flight", "", seen["in_flight"]
    yield "max_calls_in_flight", "", seen["window"]
    for reason in HELD_UP_BY:
        yield "held_up", reason, seen.get("held_up_by") == reason
    for state in ("closed", "open", "half"):
        yield "breaker", state, seen["breaker"] == state
    yield "retry_seconds", "", seen["shut_ms"] / 1000
    yield "pace_ratio", "", seen["pace"]
    if "speed" in seen:
        yield "answer_tokens_per_second", "", seen["speed"] * 1000
    yield "refused_last_minute", "", max(0, seen["refused_lately"])
    yield "refused", "", seen["refused"]
    yield "failures", "", seen["failures"]
