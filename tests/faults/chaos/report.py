"""What is told of a run: the table of promises, and the story of a job about which one was broken."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.chaos.evidence import Evidence, Exhibit
from tests.faults.chaos.plan import Kind
from tests.faults.chaos.promises import Complaint, losses

_STORIES = 3
_COMPLAINTS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run and its verdict. `struck` says how often each kind of fault happened."""

    seed: int
    jobs: int
    workers: int
    struck: dict[str, int]
    evidence: Evidence
    verdicts: dict[str, list[Complaint]]
    seconds: float

    @property
    def kept(self) -> bool:
        return not any(self.verdicts.values())


def table(outcome: Outcome) -> str:
    """Markdown without dates, paths and times: the same run, kept or broken in the same way, makes the same page but
    for what chance decides inside of it."""
    facts = "".join(f"| {name} | {count:,} |\n" for name, count in _facts(outcome))
    faults = "".join(f"| {kind} | {outcome.struck.get(kind, 0)} |\n" for kind in Kind)
    verdicts = "".join(
        f"| {counts} | {len(complaints)} | {'**broken**' if complaints else 'kept'} |\n"
        for counts, complaints in outcome.verdicts.items()
    )
    return (
        f"# What holds while everything breaks\n\n"
        f"Made by `make faults SEED={outcome.seed} JOBS={outcome.jobs}`. "
        f"**{'Every promise was kept.' if outcome.kept else 'A promise was broken.'}**\n\n"
        f"| the run | |\n|---|--:|\n{facts}\n"
        f"| fault | times |\n|---|--:|\n{faults}\n"
        f"| must be 0 | found | promise |\n|---|--:|---|\n{verdicts}"
    )


def _facts(outcome: Outcome) -> Iterator[tuple[str, int]]:
    exhibits = outcome.evidence.exhibits
    ends = [exhibit.story.last.get("status") for exhibit in exhibits]
    yield "seed", outcome.seed
    yield "workers at a time", outcome.workers
    yield "processes in all", len(outcome.evidence.endings)
    yield "jobs accepted", sum(bool(exhibit.job_id) for exhibit in exhibits)
    yield "ended succeeded", ends.count("succeeded")
    yield "ended cancelled", ends.count("cancelled")
    yield "questions to a person, whether something has happened", sum(exhibit.story.asked for exhibit in exhibits)
    yield "requests that had to be repeated", sum(exhibit.story.repeats for exhibit in exhibits)
    yield "turns in journals", sum(len(exhibit.turns) for exhibit in exhibits)
    yield "jobs that lost a worker", sum(_attempt(exhibit) > 1 for exhibit in exhibits)
    yield "most workers lost by one job", max((_attempt(exhibit) - 1 for exhibit in exhibits), default=0)
    yield "turns bought twice, each in flight when its worker was lost", sum(_again(exhibit) for exhibit in exhibits)
    yield "… of so many that may be", sum(losses(exhibit) for exhibit in exhibits)
    yield "irreversible tools run", sum(_done(exhibit, "pay ") for exhibit in exhibits)
    yield "idempotent tools run", sum(_done(exhibit, "file ") for exhibit in exhibits)


def _attempt(exhibit: Exhibit) -> int:
    return int(exhibit.story.last.get("attempt", 1))


def _again(exhibit: Exhibit) -> int:
    return max(0, exhibit.bought - len(exhibit.turns))


def _done(exhibit: Exhibit, tool: str) -> int:
    return sum(count for chore, count in exhibit.effects.items() if chore.startswith(tool))


def complaints(outcome: Outcome) -> str:
    """The first complaints of each broken promise, then the stories of the first jobs that they are about."""
    lines: list[str] = []
    job_ids: dict[str, None] = {}
    for counts, found in outcome.verdicts.items():
        lines += [f"{counts}: {complaint.text}" for complaint in found[:_COMPLAINTS]]
        job_ids |= dict.fromkeys(complaint.job_id for complaint in found if complaint.job_id)
    return "\n".join([*lines, *(story(outcome.evidence, job_id) for job_id in list(job_ids)[:_STORIES])])


def story(evidence: Evidence, job_id: str) -> str:
    """Everything about one job: what its customer saw, its journal, its calls, and who said what of it."""
    lines = [f"\n--- the story of {job_id}"]
    for exhibit in evidence.exhibits:
        if exhibit.job_id == job_id:
            lines += [f"seen: {exhibit.story.seen}, cancel: {exhibit.story.cancel}, last: {exhibit.story.last}"]
            lines += [f"journal: {json.dumps(record)[:300]}" for record in exhibit.journal]
            lines += [f"call: {_call(call)}" for call in exhibit.calls]
            lines += [f"effects: {exhibit.effects}, under keys: {exhibit.idempotency_keys}"]
    said = [
        (str(line.get("timestamp", "")), ending.name, json.dumps(line))
        for ending in evidence.endings
        for line in ending.log
        if job_id in json.dumps(line)
    ]
    return "\n".join([*lines, *(f"{who}: {text}" for _, who, text in sorted(said))])


def _call(call: dict[str, object]) -> str:
    shown = ("number", "started", "finished", "messages", "status", "fault", "completed", "client_gone")
    return ", ".join(f"{name}={call[name]}" for name in shown)
