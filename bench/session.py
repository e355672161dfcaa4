"""A run of the bench from its first row to its section of RESULTS.md, whatever it measures."""

import os
import sys
import time
from collections.abc import Callable, Mapping

from bench import machine, results_file
from bench.rows import Row, RowFile, Run
from bench.store import server_binary
from bench.unusable import Unusable
from bench.workplace import workplace

OnRow = Callable[[Row], None]


def names(text: str) -> list[str]:
    """Of an option that takes several, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def require_linux() -> None:
    """Raises Unusable elsewhere."""
    if not sys.platform.startswith("linux"):
        raise Unusable("The bench reads CPU time and memory from /proc: run it on Linux, or in a container.")


def new_run(
    *, repeats: int, small: bool, versions: Mapping[str, dict[str, str]], absent: Mapping[str, str] | None = None
) -> Run:
    """What is true of the machine just before."""
    return Run(
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        machine=machine.description(server_binary()),
        load=os.getloadavg()[0],
        repeats=repeats,
        small=small,
        versions=dict(versions),
        absent=dict(absent or {}),
    )


def measured(run: Run, section: str, measure: Callable[[OnRow], None]) -> list[Row]:
    """The rows that `measure` hands over; each is kept in a file as it comes."""
    file, rows = RowFile(run, section), list[Row]()

    def keep(row: Row) -> None:
        file.add(row)
        rows.append(row)

    began = time.monotonic()
    with workplace():
        measure(keep)
    print(f"{(time.monotonic() - began) / 60:.0f} minutes; rows: bench/.runs/{file.path.name}")
    return rows


def publish(run: Run, section: str, text: str) -> None:
    """Figures that mean nothing are shown, not kept."""
    if run.small:
        print(text)
    else:
        results_file.write_section(section, text)
        print(f"written: {results_file.PATH.name}")
