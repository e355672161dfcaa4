"""What came of the jobs: some answers, what did not work and why, the totals, and what it cost."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from client.sluice_client import Job
from local.receiver import Receiver
from local.tally import Tally, tally, why_not

_LONGEST_ANSWER = 250
_NAMED_FAILURES = 10


def report(jobs: list[Job], console: Console, *, live: bool) -> int:
    """Prints it all; the exit code, 0 only if every job succeeded."""
    oldest_first = jobs[::-1]
    _print_answers(oldest_first, console, live=live)
    failed = _print_failures(oldest_first, console)
    _print_totals(tally(jobs), _seconds(jobs), console)
    _print_cost(tally(jobs), console, live=live)
    return 1 if failed else 0


def report_webhooks(jobs: list[Job], receiver: Receiver, console: Console) -> int:
    """Prints what the receiver was told; the exit code, 0 only if it was told of every end, by whom it should be."""
    ended = {job["id"] for job in jobs if job["finished_at"]}
    missing = ended - receiver.jobs()
    if receiver.events:
        last = list(receiver.events.values())[-1]
        console.print(
            f"{_counted(len(receiver.events), 'webhook')} came and verified, the last one: "
            f"{last['type']}, {last['data']['agent']}, {last['data']['id']}.",
            highlight=False,
        )
    if missing or receiver.refused:
        said = f"{_counted(len(missing), 'webhook')} did not come, {receiver.refused} did not verify."
        console.print(Text(said, "bold red"))
    return 1 if missing or receiver.refused else 0


def _print_answers(jobs: Iterable[Job], console: Console, *, live: bool) -> None:
    """One of each agent."""
    chosen: dict[str, Job] = {}
    for job in jobs:
        if job["status"] == "succeeded":
            chosen.setdefault(job["agent"], job)
    if chosen:
        made_up = "" if live else ", made up by the simulated provider"
        console.print(f"One answer of each agent{made_up}:\n", highlight=False)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for agent, job in chosen.items():
        grid.add_row(Text(agent, "bold"), Text(str(job["input"]), "cyan"))
        grid.add_row("", Text("→ " + _shortened(job["output"] or "")))
        grid.add_row("", Padding(Text(_used(job), "dim"), (0, 0, 1, 0)))
    console.print(grid)


def _used(job: Job) -> str:
    usage = job["usage"]
    return f"{_counted(usage['turns'], 'turn')}, {_counted(usage['tool_calls'], 'tool call')}, ${usage['cost_usd']}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _print_failures(jobs: Iterable[Job], console: Console) -> int:
    """Prints the jobs that did not succeed, with the reason; how many there are."""
    failed = [(job, reason) for job in jobs if (reason := why_not(job))]
    if failed:
        console.print(Text(f"{len(failed)} of the jobs did not succeed:", "bold red"))
    for job, reason in failed[:_NAMED_FAILURES]:
        console.print(Text(f"  {job['agent']}  {job['id']}  {reason}"), soft_wrap=True)
    if len(failed) > _NAMED_FAILURES:
        console.print(f"  … and {len(failed) - _NAMED_FAILURES} more", highlight=False)
    return len(failed)


def _print_totals(total: Tally, seconds: float, console: Console) -> None:
    style = "bold red" if total.done < total.jobs else "bold green"
    console.print(
        Text(f"{total.done} of {total.jobs} jobs succeeded", style),
        f"in {seconds:.1f} s, with {total.turns:,} turns and {total.tokens:,} tokens.",
        highlight=False,
    )


def _print_cost(total: Tally, console: Console, *, live: bool) -> None:
    if live:
        console.print(f"They cost ${total.cost:.4f}, by the list prices.", highlight=False)
        return
    console.print(
        f"The real API would have charged ${total.cost:.4f}. Nothing was spent: the provider was simulated.",
        highlight=False,
    )


def _seconds(jobs: Iterable[Job]) -> float:
    """From the first submit to the last end."""
    jobs = list(jobs)
    first = min((datetime.fromisoformat(job["created_at"]) for job in jobs), default=None)
    last = max((datetime.fromisoformat(job["finished_at"]) for job in jobs if job["finished_at"]), default=first)
    return (last - first).total_seconds() if first and last else 0.0


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_ANSWER else line[: _LONGEST_ANSWER - 1].rstrip() + "…"
