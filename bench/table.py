"""A table of the report: one line for each contender and setting, one column for each figure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.figures import Spread
from bench.rows import Row

Cell = Callable[[Sequence[Row]], str]
"""What the good rows of one contender and profile come to, in words."""


class Entrant(Protocol):
    """Who has rows: a contender of whatever bench."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Column:
    """`cell` sees the rows of `measurement`."""

    heading: str
    cell: Cell
    measurement: str


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[Column, ...]
    remark: str = ""
    with_settings: bool = True
    """Whether a column tells them."""

    @property
    def measurements(self) -> list[str]:
        return list(dict.fromkeys(column.measurement for column in self.columns))

    def render(self, rows: Sequence[Row], contenders: Mapping[str, Entrant]) -> str:
        """Markdown; nothing when none of it was measured. What failed stands below with its reason."""
        own = [row for row in rows if row.measurement in self.measurements]
        if not own:
            return ""
        headings = [*self._names("contender", "settings"), *(column.heading for column in self.columns), "repeats"]
        lines = [_line(headings), _line(["---"] * len(headings))]
        order = list(contenders)
        pairs = sorted({(order.index(row.contender), row.profile) for row in own if row.contender in contenders})
        for index, profile in pairs:
            contender = contenders[order[index]]
            mine = [row for row in own if (row.contender, row.profile) == (contender.name, profile)]
            names = self._names(contender.name, _settings(contender, profile))
            lines.append(_line([*names, *self._cells(mine), _repeats(mine)]))
        failures = [f"- {row.contender} ({row.profile}), repeat {row.repeat}: {row.error}" for row in own if row.error]
        remark = [f"{self.remark}\n"] if self.remark else []
        failed = ["", "Failed:", "", *failures] if failures else []
        return "\n".join([f"### {self.title}", "", *remark, *lines, *failed])

    def _names(self, contender: str, settings: str) -> list[str]:
        return [contender, settings] if self.with_settings else [contender]

    def _cells(self, rows: Sequence[Row]) -> list[str]:
        return [_cell(column, rows) for column in self.columns]


def number(figure: str, digits: int) -> Cell:
    """The median and the spread of a figure."""

    def cell(rows: Sequence[Row]) -> str:
        values = figures(rows, figure)
        return Spread.of(values).shown(digits) if values else "–"

    return cell


def figures(rows: Sequence[Row], figure: str) -> list[float]:
    """The numbers of all rows that have one."""
    found = (row.figures.get(figure) for row in rows)
    return [float(value) for value in found if isinstance(value, int | float)]


def _cell(column: Column, rows: Sequence[Row]) -> str:
    own = [row for row in rows if row.measurement == column.measurement]
    good = [row for row in own if row.error is None]
    if not own:
        return "–"
    return column.cell(good) if good else "failed"


def _settings(contender: Entrant, profile: str) -> str:
    said = contender.settings.get(profile)
    return said or profile


def _repeats(rows: Sequence[Row]) -> str:
    """`3`, or `2 of 3` when one failed."""
    made = {row.repeat for row in rows}
    broken = {row.repeat for row in rows if row.error}
    return f"{len(made - broken)} of {len(made)}" if broken else str(len(made))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
