"""Where a forked job comes from: whose turns its journal begins with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.stored import build


@dataclass(frozen=True, slots=True)
class Origin:
    """The first `records` lines of the journal are copied, up to the end of turn `turn`. They were paid for, and count
    against no limit of this job."""

    lineage: tuple[str, ...]
    """The jobs that it descends from, the oldest first; the last is the one that was forked."""
    turn: int
    records: int
    call_keys: str
    """The job that has made the tool calls of turn `turn`: what is run again of them has the keys it had there."""
    step_keys: str
    """The same for the steps of a custom agent that are not recorded; '' when they are new ones."""

    @property
    def job_id(self) -> str:
        return self.lineage[-1]

    @classmethod
    def of(cls, job_id: str, before: "Origin | None", *, turn: int, records: int, goes_on: bool) -> "Origin":
        """That of a fork of this job, which has an origin `before`. `goes_on`: it begins where the job has ended, so
        that what was under way there is what it does first."""
        lineage = (*(before.lineage if before else ()), job_id)
        call_keys = before.call_keys if before and turn <= before.turn else job_id
        step_keys = before.step_keys if before and before.step_keys else job_id
        return cls(lineage, turn, records, call_keys, step_keys if goes_on else "")

    @classmethod
    def stored(cls, fields: Mapping[str, Any]) -> "Origin":
        return build(cls, dict(fields) | {"lineage": tuple(fields["lineage"])})
