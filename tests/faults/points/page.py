"""The page that shows the table, docs/durability.md: written by a full run, compared with by the short one."""

from pathlib import Path

from tests.faults.points.cases import CAREFUL

PAGE = Path(__file__).resolve().parents[3] / "docs" / "durability.md"
_BEGIN, _END = "<!-- written by make faults -->", "<!-- end -->"


def write(table: str) -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", "utf-8")


def deaths() -> int:
    """How many the table shows."""
    return sum("·" in cell and point != "not at all" for (_, point), cell in cells().items())


def cells() -> dict[tuple[str, str], str]:
    """The table as it is there: `Sight.cell` by tool and point."""
    shown = PAGE.read_text("utf-8").partition(_BEGIN)[2].partition(_END)[0]
    found = {}
    for line in shown.splitlines():
        point, *columns = (column.strip() for column in line.strip("| ").split(" | "))
        for number, tool in enumerate(CAREFUL):
            found[tool, point] = " | ".join(columns[3 * number : 3 * number + 3])
    return found
