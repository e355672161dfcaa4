"""What a worker has in Redis, in memory: for one job of a test, and for as long as that takes."""

import asyncio
import math

from shared.errors import LeaseLost
from shared.journal import from_json, to_json
from shared.pool import Call, Headroom, Pool, Reservation, Spent, Used
from shared.scratchpad import MAX_NOTES
from shared.turn import ModelRecord, Record


class Journal:
    """In place of `shared.checkpoints.Checkpoints`. When it holds `dies_after` records and the next one is to be
    written, the worker is dead: what it did meanwhile is lost to whoever goes on."""

    def __init__(self, dies_after: int | None) -> None:
        self.dies_after = dies_after
        """None when there is no death, or it has been."""
        self._lines: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def records(self) -> list[Record]:
        return [from_json(line) for line in self._lines]

    @property
    def turns(self) -> int:
        return sum(isinstance(record, ModelRecord) for record in self.records)

    def dies_now(self) -> bool:
        """Whether this is the moment, which comes once."""
        due = self.dies_after == len(self._lines)
        if due:
            self.dies_after = None
        return due

    def decide(self, record: Record) -> None:
        """What a person says is written while no worker has the job."""
        self._lines.append(to_json(record))

    async def load(self, job_id: str) -> list[Record]:
        return self.records

    async def append(
        self, owner: str, job_id: str, index: int, record: Record, told: str = "[]", *, reserved_nano: int = 0
    ) -> bool:
        if self.dies_now():
            raise LeaseLost(job_id)
        self._lines.append(to_json(record))
        return False  # nobody speaks to the job


class OpenGate:
    """In place of `shared.gate.Gate`: there is always room."""

    async def reserve(
        self,
        pool: Pool,
        call: Call,
        patience: float = math.inf,
        leaving: asyncio.Event | None = None,
        in_outage: bool = True,
    ) -> Reservation:
        return Reservation("call", pool, call, 0, 0, "")

    def observe(self, reservation: Reservation, headroom: Headroom) -> None:
        pass

    def answered(self, reservation: Reservation, used: Used) -> None:
        pass

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        pass


class Notes:
    """In place of `shared.scratchpad.Scratchpad`."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    async def write(self, title: str, text: str) -> bool:
        if title not in self._notes and len(self._notes) >= MAX_NOTES:
            return False
        self._notes[title] = text
        return True

    async def read(self) -> dict[str, str]:
        return dict(sorted(self._notes.items()))
