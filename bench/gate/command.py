"""`python -m bench gate` and `python -m bench gate-report`."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench import machine, results_file, rows
from bench.gate import contenders, report, scenarios
from bench.gate.contender import Contender
from bench.gate.rounds import Rounds
from bench.gate.scenario import Scenario
from bench.rows import Row, RowFile, Run
from bench.store import server_binary
from bench.unusable import Unusable
from bench.workplace import workplace

_SMALL_SCALE = 0.25
_OF_ALL = ("anthropic", "httpx2")
"""What every contender calls the provider with."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    gate = commands.add_parser("gate", help="measure the gate, and write its section of RESULTS.md")
    gate.add_argument("--repeat", type=int, default=3)
    gate.add_argument("--only", type=names, default=[], help=f"of {', '.join(contenders.BY_NAME)}")
    gate.add_argument("--scenarios", type=names, default=[], help=f"of {', '.join(scenarios.BY_NAME)}")
    gate.add_argument("--small", action="store_true", help="show that it works; RESULTS.md is left alone")
    gate.set_defaults(run=_gate)
    again = commands.add_parser(
        "gate-report", help="write the gate's section again, from the rows of one run or several"
    )
    again.add_argument("files", type=Path, nargs="+")
    again.set_defaults(run=_report)


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _gate(options: argparse.Namespace) -> int:
    if not sys.platform.startswith("linux"):
        raise Unusable("The bench reads CPU time from /proc: run it on Linux, or in a container.")
    chosen, happening = _contenders(options.only), _scenarios(options.scenarios)
    run = Run(
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        machine=machine.description(server_binary()),
        load=os.getloadavg()[0],
        repeats=options.repeat,
        small=options.small,
        versions={one.name: {name: version(name) for name in (*one.packages, *_OF_ALL)} for one in chosen},
        absent={},
    )
    file = RowFile(run, report.SECTION)
    measured: list[Row] = []

    def keep(row: Row) -> None:
        file.add(row)
        measured.append(row)

    began = time.monotonic()
    with workplace():
        Rounds(chosen, happening, _SMALL_SCALE if options.small else 1, keep).run(options.repeat)
    print(f"{(time.monotonic() - began) / 60:.0f} minutes; rows: bench/.runs/{file.path.name}")
    _publish(run, measured)
    return 0


def _report(options: argparse.Namespace) -> int:
    _publish(*rows.read(options.files))
    return 0


def _publish(run: Run, measured: Sequence[Row]) -> None:
    """Figures that mean nothing are shown, not kept."""
    text = report.render(run, measured)
    if run.small:
        print(text)
    else:
        results_file.write_section(report.SECTION, text)
        print(f"written: {results_file.PATH.name}")


def _contenders(wanted: Sequence[str]) -> list[Contender]:
    if unknown := set(wanted) - set(contenders.BY_NAME):
        known = ", ".join(contenders.BY_NAME)
        raise Unusable(f"No contender is called {', '.join(sorted(unknown))}; there are {known}.")
    return [one for one in contenders.ALL if not wanted or one.name in wanted]


def _scenarios(wanted: Sequence[str]) -> list[Scenario]:
    """Those whose name is given, or begins with it: `foreign` is both kinds of foreign use."""
    if unknown := [name for name in wanted if not any(one.startswith(name) for one in scenarios.BY_NAME)]:
        known = ", ".join(scenarios.BY_NAME)
        raise Unusable(f"No scenario is called {', '.join(unknown)}; there are {known}.")
    return [one for one in scenarios.SCENARIOS if not wanted or one.name.startswith(tuple(wanted))]
