"""A chain: targets in the order in which they are asked for a job."""

from dataclasses import dataclass
from hashlib import sha256

from shared.turn import ServedAs
from worker.model_call import TargetClient

_WHOLE = 2**64


@dataclass(frozen=True, slots=True)
class Chain:
    """A call waits `fallback_after_seconds` at the gate of a target that has another one behind it."""

    name: str
    targets: tuple[TargetClient, ...]
    drill_percent: float = 0
    fallback_after_seconds: float = 5

    @property
    def first(self) -> TargetClient:
        return self.targets[0]

    def order(self, job_id: str, last: str | None) -> list[TargetClient]:
        """Whom to ask for a job's next turn, one after the other.

        Its conversation stays with the target that served its last turn, named `last`, while that one serves: it has
        the conversation in its prompt cache, and two voices in one answer help nobody. Since `last` comes from the
        journal this holds across crashes and parks. A new job begins at the first target, or in a drill at the second.
        """
        targets = list(self.targets)
        if self.drills(job_id):
            targets[:2] = reversed(targets[:2])
        return sorted(targets, key=lambda target: target.name != last)

    def drills(self, job_id: str) -> bool:
        """By the job's id alone: whoever asks, and after whatever crash, gets the same answer."""
        if len(self.targets) < 2:
            return False
        lot = int.from_bytes(sha256(job_id.encode()).digest()[:8], "big")
        return lot * 100 < self.drill_percent * _WHOLE

    def served_as(self, target: TargetClient, job_id: str) -> ServedAs:
        """Why this job asks that target."""
        if target is self.first:
            return ServedAs.FIRST
        return ServedAs.DRILL if target is self.targets[1] and self.drills(job_id) else ServedAs.FALLBACK
