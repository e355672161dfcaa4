"""The cases: a job of four turns for each way to be careful, and a death at each point that it passes."""

from dataclasses import dataclass
from typing import Any

from tests.prompts import scripted

TELLING = "telling followers"
"""What a worker does beside the rest, and not at the same moment in each run."""

CAREFUL = {"pay": "alone", "wire": "with verify", "shred": "with approval"}
"""The irreversible tools, by what stands between them and a second run."""
TURNS = 4


_UNWRITTEN = ("before leaving the gate", "after leaving the gate", "after the model's turn", "before saving turn")
"""Where the model has answered and nobody has written that down."""


@dataclass(frozen=True, slots=True)
class Case:
    """A job that calls this irreversible tool, and dies there."""

    tool: str
    point: str
    prompt: str

    @classmethod
    def of(cls, tool: str, point: str) -> "Case":
        calls = [{"tools": [{"name": name, "input": {}}]} for name in ("look", "file", tool)]
        if not point or TELLING in point:  # whoever follows is heard of before the model has answered
            calls[0]["latency"] = 3
        return cls(tool, point, scripted(turns=[*calls, {"text": "Done."}]))


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a case: how the job ended, how often each tool ran and under how many keys, how many turns the
    provider sold, and what persons were asked and said."""

    case: Case
    job_id: str
    status: str
    runs: dict[str, int]
    effects: dict[str, int]
    bought: int
    said: tuple[str, ...]
    died: bool
    receipts: dict[str, int]

    def complaints(self) -> list[str]:
        """What must not be: nothing, if every promise was kept."""
        wrong = []
        if self.died != bool(self.case.point):
            wrong.append("its worker did not die there" if self.case.point else "its worker died")
        if self.status != "succeeded":
            wrong.append(f"it ended {self.status}")
        if self.effects != {"look": 1, "file": 1, self.case.tool: 1}:
            wrong.append(f"effects seen: {self.effects}")
        if self.runs.get(self.case.tool) != 1:
            wrong.append(f"what must not run twice ran {self.runs.get(self.case.tool, 0)} times")
        if self.bought != TURNS + self._turn_in_flight:
            wrong.append(f"{self.bought} turns were bought")
        if sorted(self.receipts.values()) != [1, 1, 1]:
            wrong.append(f"receipts: {self.receipts}")
        return [f"{self.case.tool}, {self.case.point or 'no death'}: {one}" for one in wrong]

    @property
    def _turn_in_flight(self) -> int:
        """It is bought again, and no other."""
        return int(self.case.point.startswith(_UNWRITTEN))

    def cell(self) -> str:
        """For the table: runs of each tool, turns bought, what persons said."""
        runs = " · ".join(str(self.runs.get(name, 0)) for name in ("look", "file", self.case.tool))
        return f"{runs} | {self.bought} | {', '.join(self.said) or '–'}"


def table(sights: dict[tuple[str, str], Sight], points: list[str]) -> str:
    """Markdown: a row for each point, three columns for each tool; the same for the same code."""
    lines = [
        "| killed | " + " | ".join(f"{how}: runs | turns | person" for how in CAREFUL.values()) + " |",
        "|---|" + "---|--:|---|" * len(CAREFUL),
    ]
    for point in sorted(points, key=lambda one: TELLING in one):
        cells = (sights[tool, point].cell() if (tool, point) in sights else "– | – | –" for tool in CAREFUL)
        lines.append(f"| {point or 'not at all'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def said_of(action: dict[str, Any], happened: bool) -> str:
    """A person who allows everything, and looks before he says that something has happened."""
    if action["kind"] == "approval":
        return "approve"
    return "done" if happened else "not_done"
