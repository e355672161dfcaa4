"""What the processes of one run are told, and the files by which they find each other."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """One contender in one scenario. The seed is the same for all contenders of a repeat."""

    contender: str
    scenario: str
    scale: float
    """Of the scenario's times."""
    seed: int
    redis_url: str
    provider_url: str
    folder: str

    @classmethod
    def parse(cls, text: str) -> "Plan":
        return cls(**json.loads(text))

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    def log(self, worker: int) -> Path:
        """What became of its calls."""
        return Path(self.folder) / f"calls{worker}.jsonl"

    def ready(self, worker: int) -> Path:
        """Holds its pid, once it only waits for the start."""
        return Path(self.folder) / f"ready{worker}"

    @property
    def go(self) -> Path:
        """Holds the moment at which the run begins or began, on the clock that all processes of a machine share."""
        return Path(self.folder) / "go"


def write_whole(path: Path, text: str) -> None:
    """So that nobody ever reads half of it."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)


def start(plan: Plan, seconds: float) -> float:
    """Lets everybody begin so many seconds from now; when that is."""
    began = time.monotonic() + seconds
    write_whole(plan.go, repr(began))
    return began
