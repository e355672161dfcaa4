"""From the provider's books and the callers' lines to the figures of one run. Nothing here waits or measures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import percentile
from bench.gate.budget import DIMENSIONS
from bench.gate.call_log import WAITING, CallRecord
from bench.gate.job import Outcome
from bench.gate.order import LARGE_INPUT_TOKENS
from bench.gate.scenario import Scenario
from bench.measurement import Figures
from bench.store import Work

Books = Mapping[str, Any]
"""Of the one model: `GET /_sim/books`, see docs/simulated-provider.md."""


@dataclass(frozen=True, slots=True)
class Look:
    """How things stood at one moment of the run, in seconds since it began."""

    at: float
    books: Books
    redis: Work
    cpu_seconds: float
    """Of provider, workers and Redis together."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run when it is over."""

    scenario: Scenario
    warm: Look
    end: Look
    outages: Sequence[tuple[Books, Books]]
    """At the beginning and at the end of each."""
    calls: Sequence[CallRecord]
    cores: int


def figures(run: Run) -> Figures:
    dimension, used = budget_used(run.warm.books, run.end.books, run.outages)
    seconds = run.end.at - run.warm.at
    redis = run.end.redis.since(run.warm.redis)
    answered = sum(call.outcome == Outcome.ANSWERED and _in(run, call.ended) for call in run.calls)
    admitted = run.end.books["dimensions"]["requests"]["used"]
    refused = sum(run.end.books["refused"].values())
    return {
        "use_percent": 100 * used,
        "binding": dimension,
        "refused": refused,
        "refused_percent": 100 * refused / max(1.0, admitted + refused),
        "overloaded": run.end.books["overloaded"],
        "given_up": sum(call.outcome == Outcome.GIVEN_UP for call in run.calls),
        "calls_per_s": answered / seconds,
        **_waits(run),
        "jain": jain(shares(run.warm.books, run.end.books, run.scenario.tenants)),
        "redis_requests": redis.requests / answered if answered else None,
        "redis_ms": 1000 * redis.cpu_seconds / answered if answered else None,
        "cpu_percent": 100 * (run.end.cpu_seconds - run.warm.cpu_seconds) / (seconds * run.cores),
    }


def budget_used(before: Books, after: Books, outages: Sequence[tuple[Books, Books]] = ()) -> tuple[str, float]:
    """The dimension that was tightest, and which share of what we could have used of it we did use."""
    binding = max(DIMENSIONS, key=lambda name: _tightness(name, before, after))
    return binding, _used(binding, before, after, outages)


def _tightness(name: str, before: Books, after: Books) -> float:
    spent = _flow("used", name, before, after) + _flow("charged", name, before, after)
    return spent / max(1.0, _flow("refilled", name, before, after) - _flow("foreign", name, before, after))


def _used(name: str, before: Books, after: Books, outages: Sequence[tuple[Books, Books]]) -> float:
    """At most 1, and 1 only when nothing was spilled, charged, or left to pile up.

    To be had was what was refilled and what stock was drawn upon; not what a foreign user's share was, what was
    spilled while every call was answered 529, and what stock somebody took or a change of the limits cut off. Gulps
    take stock alone: who lets the refill pile up until somebody takes it has not used it.
    """
    refilled, foreign, used = (_flow(flow, name, before, after) for flow in ("refilled", "foreign", "used"))
    unusable = sum(_flow("spilled", name, *outage) for outage in outages)
    lost = _flow("clamped", name, before, after) + _flow("gulped", name, before, after)
    drawn = max(0.0, -_flow("level", name, before, after) - lost)
    return used / max(1.0, refilled - foreign - unusable + drawn)


def _flow(flow: str, name: str, before: Books, after: Books) -> float:
    """What flowed between the two looks."""
    return float(after["dimensions"][name][flow] - before["dimensions"][name][flow])


def shares(before: Books, after: Books, tenants: Iterable[str]) -> list[float]:
    """Each tenant's share of the limits: the largest of its shares of the three dimensions (dominant resources,
    Ghodsi et al., NSDI 2011)."""
    limits = {name: after["dimensions"][name]["limit"] for name in DIMENSIONS}
    found = []
    for tenant in tenants:
        use, earlier = after["users"].get(tenant, {}), before["users"].get(tenant, {})
        found.append(max((use.get(name, 0) - earlier.get(name, 0)) / limits[name] for name in DIMENSIONS))
    return found


def jain(values: Sequence[float]) -> float | None:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything; None for fewer than two."""
    if len(values) < 2:
        return None
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def _waits(run: Run) -> Figures:
    """Of everybody whose wait ended in the measured part, and of those who still waited when it did."""
    waits = [call for call in run.calls if _counts(run, call)]
    interactive = set(run.scenario.interactive)
    large = [call.wait for call in waits if call.input_tokens >= LARGE_INPUT_TOKENS]
    urgent = [call.wait for call in waits if call.tenant in interactive]
    return {
        "wait_p50_s": _percentile([call.wait for call in waits], 50),
        "wait_p99_s": _percentile([call.wait for call in waits], 99),
        "large_p99_s": _percentile(large, 99),
        "interactive_p99_s": _percentile(urgent, 99),
    }


def _counts(run: Run, call: CallRecord) -> bool:
    if call.outcome == WAITING:
        return call.asked <= run.end.at
    return _in(run, call.asked + call.wait)


def _in(run: Run, moment: float) -> bool:
    return run.warm.at <= moment <= run.end.at


def _percentile(values: Sequence[float], percent: int) -> float | None:
    return percentile(values, percent) if values else None
