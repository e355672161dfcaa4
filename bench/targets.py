"""What this project wants to reach: for each figure a floor and a goal, and whether a run met them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    GOAL = "goal met"
    FLOOR = "floor met"
    MISSED = "missed"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit; with `of_peers` it is that many times the best Python peer of the same run."""

    limit: float
    at_most: bool
    of_peers: bool = False

    def in_numbers(self, best_peer: float | None) -> float | None:
        """None when it hangs on a peer that was not measured."""
        if not self.of_peers:
            return self.limit
        return None if best_peer is None else self.limit * best_peer

    def meets(self, value: float, best_peer: float | None) -> bool:
        limit = self.in_numbers(best_peer)
        return limit is not None and (value <= limit if self.at_most else value >= limit)

    def shown(self, unit: str) -> str:
        sign = "≤" if self.at_most else "≥"
        if self.of_peers:
            return f"{sign} {'' if self.limit == 1 else f'{self.limit:g} × '}the best Python peer"
        return f"{sign} {self.limit:,.10g} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Target:
    """`figure` of `measurement`, as `contender` reaches it with the settings of `profile`."""

    what: str
    measurement: str
    figure: str
    profile: str
    unit: str
    floor: Bound
    goal: Bound
    contender: str = "sluice"
    digits: int = 1

    def verdict(self, value: float | None, best_peer: float | None = None) -> Verdict:
        return judged(value, self.floor, self.goal, best_peer)


def judged(value: float | None, floor: Bound, goal: Bound, best_peer: float | None = None) -> Verdict:
    if value is None or floor.in_numbers(best_peer) is None:
        return Verdict.UNKNOWN
    if goal.meets(value, best_peer):
        return Verdict.GOAL
    return Verdict.FLOOR if floor.meets(value, best_peer) else Verdict.MISSED


def best(values: Mapping[str, float], *, at_most: bool) -> float | None:
    """The best of the peers' figures."""
    if not values:
        return None
    return min(values.values()) if at_most else max(values.values())


def _at_most(limit: float) -> Bound:
    return Bound(limit, at_most=True)


def _at_least(limit: float) -> Bound:
    return Bound(limit, at_most=False)


def _times_peers(factor: float) -> Bound:
    return Bound(factor, at_most=False, of_peers=True)


TARGETS = (
    Target("submit to start, idle worker, p50", "idle", "p50_ms", "default", "ms", _at_most(3), _at_most(1.2)),
    Target("submit to start, idle worker, p99", "idle", "p99_ms", "default", "ms", _at_most(8), _at_most(2)),
    Target(
        "POST to the provider's receiving the call, p50",
        "http_latency",
        "p50_ms",
        "default",
        "ms",
        _at_most(15),
        _at_most(8),
        contender="sluice-http",
    ),
    Target(
        "submits over HTTP, of what a bare route with one EVALSHA takes in the same run",
        "ingress",
        "of_evalsha_percent",
        "default",
        "%",
        _at_least(80),
        _at_least(100),
        contender="sluice-http",
        digits=0,
    ),
    Target("no-op jobs drained", "drain", "rate", "drain", "/s", _times_peers(1), _times_peers(2), digits=0),
    Target(
        "enqueued one by one", "enqueue_single", "rate", "default", "/s", _at_least(4000), _at_least(5000), digits=0
    ),
    Target("enqueued in bulk", "enqueue_bulk", "rate", "default", "/s", _at_least(10_000), _at_least(16_000), digits=0),
    Target(
        "600 jobs of 5 s on 6 × 100 slots, wall time",
        "wall",
        "wall_s",
        "wall",
        "s",
        _at_most(5.5),
        _at_most(5.2),
        digits=2,
    ),
    Target("… running at once", "wall", "peak", "wall", "", _at_least(600), _at_least(600), digits=0),
    Target(
        "Redis commands while 300 of 600 slots only wait",
        "wall",
        "commands_per_s",
        "wall",
        "/s",
        _at_most(40),
        _at_most(15),
    ),
    Target(
        "second start after a SIGKILL, as shipped", "crash", "recovered_s", "default", "s", _at_most(20), _at_most(5)
    ),
    Target(
        "starts of a healthy long job, quick recovery",
        "live_long",
        "starts",
        "recover",
        "",
        _at_most(1),
        _at_most(1),
        digits=0,
    ),
    Target("Redis commands of an idle worker", "idle", "commands_per_s", "default", "/s", _at_most(4), _at_most(1)),
    Target(
        "Redis memory per waiting job, 1 KB input",
        "waiting",
        "redis_kb",
        "default",
        "KB",
        _at_most(4),
        _at_most(2.5),
        digits=2,
    ),
    Target(
        "RSS with 1,000 jobs in flight", "in_flight", "rss_mb", "wall", "MB", _at_most(250), _at_most(150), digits=0
    ),
)
