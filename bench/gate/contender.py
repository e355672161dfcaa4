"""What a contender is: a limiter that each worker process has one of, and what the report says of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.gate.budget import Budget
from bench.gate.job import Job, Outcome


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a limiter is told."""

    redis_url: str
    budget: Budget
    """Of the one key that all workers share. It need not be true."""
    worker: int


class Limiter(Protocol):
    """One of each worker. All of them share one Redis, which is empty at the start."""

    async def open(self) -> None: ...

    async def call(self, job: Job) -> Outcome:
        """Lets the job's attempts through when it is time, until one is answered or there is no hope."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the tables."""

    name: str
    make: Callable[[Surroundings], Limiter]
    settings: Mapping[str, str]
    """Profile → what it sets, in the words of the report; there is only "default"."""
    packages: tuple[str, ...]
    """Whose versions the report names."""
    note: str = ""
