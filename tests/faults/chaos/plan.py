"""Which faults happen, when and to whom: a function of the seed alone.

A strike comes when so many jobs have ended and not after so many seconds: a slow machine then meets the same faults in
the middle of the same work, and one that is quick does not get away.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

API, FRONT, REDIS, PROVIDER = "api", "front", "redis", "provider"
"""Where a strike can fall besides on a worker; `front` is the link between the clients and the api."""
LAST_STRIKE = 0.9
"""After this share of the jobs nothing more begins to break, so that all strikes fall into the work."""
JOBS_PER_STRIKE = 20


class Kind(StrEnum):
    KILL_WORKER = "worker killed (SIGKILL)"
    FREEZE_WORKER = "worker frozen past its lease (SIGSTOP, SIGCONT)"
    DRAIN_WORKER = "worker drained (SIGTERM)"
    HURRY_WORKER = "worker drained in a hurry (SIGTERM twice)"
    KILL_API = "api killed (SIGKILL)"
    RESTART_REDIS = "Redis restarted (SIGTERM)"
    KILL_REDIS = "Redis killed (SIGKILL)"
    FREEZE_REDIS = "Redis frozen (SIGSTOP, SIGCONT)"
    CUT_LINK = "link cut"
    REFUSE_LINK = "link refused for a while"
    SILENCE_LINK = "link silent for a while"
    STRAND_LINK = "connections dead without a word"
    LOSE_ANSWER = "link cut in mid-script: done, but the answer lost"
    PROVIDER_429 = "provider answers 429"
    PROVIDER_529 = "provider answers 529"
    PROVIDER_BROKEN = "provider breaks streams off"


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: after `after` jobs have ended, at `place`, for `seconds` or `count` times where that has a meaning."""

    after: int
    kind: Kind
    place: str
    seconds: float = 0.0
    count: int = 0

    def __str__(self) -> str:
        size = f" for {self.seconds:g} s" if self.seconds else f", {self.count} times" if self.count else ""
        return f"after {self.after:4} jobs: {self.place}: {self.kind}{size}"


def worker_names(workers: int) -> list[str]:
    return [f"worker {number}" for number in range(1, workers + 1)]


def make_plan(seed: int, *, jobs: int, workers: int, lease_seconds: float) -> list[Strike]:
    """Every kind at least once, spread evenly over the run, in an order of the seed."""
    chance = random.Random(f"plan {seed}")
    wanted = max(len(Kind), jobs // JOBS_PER_STRIKE)
    kinds = list(Kind) + chance.choices(list(Kind), k=wanted - len(Kind))
    chance.shuffle(kinds)
    return [
        _strike(kind, int(jobs * LAST_STRIKE * (index + 1) / wanted), chance, workers, lease_seconds)
        for index, kind in enumerate(kinds)
    ]


def _strike(kind: Kind, after: int, chance: random.Random, workers: int, lease_seconds: float) -> Strike:
    worker = chance.choice(worker_names(workers))
    to_redis = chance.choice([*worker_names(workers), API])
    any_link = chance.choice([*worker_names(workers), API, FRONT])
    short = round(chance.uniform(0.5, 3), 1)
    past_lease = round(lease_seconds + chance.uniform(1, 2), 1)
    count = chance.randint(5, 25)
    match kind:
        case Kind.KILL_WORKER | Kind.DRAIN_WORKER | Kind.HURRY_WORKER:
            return Strike(after, kind, worker)
        case Kind.FREEZE_WORKER:
            return Strike(after, kind, worker, seconds=past_lease)
        case Kind.KILL_API:
            return Strike(after, kind, API)
        case Kind.RESTART_REDIS | Kind.KILL_REDIS:
            return Strike(after, kind, REDIS, seconds=short)
        case Kind.FREEZE_REDIS:
            return Strike(after, kind, REDIS, seconds=chance.choice([short, past_lease]))
        case Kind.CUT_LINK | Kind.STRAND_LINK:
            return Strike(after, kind, any_link)
        case Kind.REFUSE_LINK:
            return Strike(after, kind, to_redis, seconds=short)
        case Kind.SILENCE_LINK:
            return Strike(after, kind, to_redis, seconds=chance.choice([short, past_lease]))
        case Kind.LOSE_ANSWER:
            return Strike(after, kind, any_link, count=chance.randint(1, 5))
        case Kind.PROVIDER_429:
            return Strike(after, kind, PROVIDER, count=count)
        case Kind.PROVIDER_529 | Kind.PROVIDER_BROKEN:  # five open the gate's breaker: one at a time tries
            return Strike(after, kind, PROVIDER, count=chance.randint(3, 8))
