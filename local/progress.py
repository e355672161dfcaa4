"""How the demo shows that it moves: a live table on a terminal, a line now and then elsewhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from local.tally import Tally

_LINE_SECONDS = 2.0
_COLUMNS = {"queued": 6, "running": 7, "done": 5, "failed": 6, "turns": 5, "tokens": 8, "cost": 8}
"""With their widths: room for what will come, so that nothing jumps, and all of it within 80 columns."""
_STYLES = {"queued": "yellow", "running": "cyan", "done": "green", "failed": "bold red"}


@dataclass(frozen=True, slots=True)
class Moment:
    """How far the jobs are."""

    agents: Mapping[str, Tally]
    in_flight: Mapping[str, int]
    """Jobs that each worker runs now."""
    slots: int
    """How many each may run at once."""
    seconds: float

    @property
    def total(self) -> Tally:
        return sum(self.agents.values(), Tally())


class View(Protocol):
    def show(self, moment: Moment) -> None: ...


@contextmanager
def view(console: Console) -> Iterator[View]:
    """What fits this terminal, or a file."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(console)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield _Table(live)


class _Table:
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, moment: Moment) -> None:
        self._live.update(drawn(moment), refresh=True)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = -_LINE_SECONDS

    def show(self, moment: Moment) -> None:
        ended = moment.total.finished == moment.total.jobs
        if moment.seconds - self._shown < _LINE_SECONDS and not ended:
            return
        self._shown = moment.seconds
        total = moment.total
        self._console.print(
            f"{moment.seconds:5.1f} s  {total.finished} of {total.jobs} jobs ended, {total.running} running, "
            f"{total.queued} queued, {total.failed} failed, {total.turns} turns, ${total.cost:.4f}",
            highlight=False,
            soft_wrap=True,
        )


def drawn(moment: Moment) -> RenderableType:
    """The whole picture."""
    return Padding(Group(_agents(moment), _foot(moment)), (0, 1, 1, 1))


def _agents(moment: Moment) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1), show_footer=True, header_style="dim")
    table.add_column("agent", footer="all", style="bold", min_width=10)
    totals = _cells(moment.total)
    for (name, width), footer in zip(_COLUMNS.items(), totals, strict=True):
        table.add_column(name, footer=footer, justify="right", min_width=width)
    for agent, tally in moment.agents.items():
        table.add_row(agent, *_cells(tally))
    return table


def _cells(tally: Tally) -> list[Text]:
    counts = [_count(getattr(tally, name), style) for name, style in _STYLES.items()]
    return [*counts, Text(f"{tally.turns:,}"), Text(f"{tally.tokens:,}"), Text(f"${tally.cost:.4f}")]


def _count(number: int, style: str) -> Text:
    return Text(str(number), style) if number else Text("·", "dim")


def _foot(moment: Moment) -> Table:
    """For each worker a square for each job that it may run at once, full where it runs one; and how far it all is."""
    grid = Table.grid(padding=(0, 2))
    for name, running in moment.in_flight.items():
        squares = Text("■ " * running, "cyan") + Text("■ " * (moment.slots - running), "bright_black")
        grid.add_row(Text(name, "bold"), squares, Text(f"{running} of {moment.slots} jobs in flight", "dim"))
    total = moment.total
    bar = ProgressBar(max(1, total.jobs), total.finished, width=30, complete_style="green", finished_style="green")
    grid.add_row(
        Text("all", "bold"), bar, Text(f"{total.finished} of {total.jobs} jobs, {moment.seconds:.1f} s", "dim")
    )
    return grid
