"""The commands of `python -m bench`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import contender, install, queue_report, rows, session
from bench.contender import Contender
from bench.gate import command as gate
from bench.measurement import FULL, SMALL, Measurement
from bench.measurements import ALL, BY_NAME
from bench.rounds import Rounds
from bench.rows import Row, Run
from bench.unusable import Unusable


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures the queue and the gate beside others."
    )
    commands = parser.add_subparsers(required=True)
    queue = commands.add_parser("queue", help="install the peers, measure, and write the queue's section of RESULTS.md")
    queue.add_argument("--repeat", type=int, default=3)
    queue.add_argument("--only", type=session.names, default=[], help="contenders, separated by commas")
    queue.add_argument("--tests", type=session.names, default=[], help=f"of {', '.join(_test_names())}")
    queue.add_argument("--small", action="store_true", help="show that it works; RESULTS.md is left alone")
    queue.set_defaults(run=_queue)
    report = commands.add_parser("report", help="write the section again, from the rows of one run or of several")
    report.add_argument("files", type=Path, nargs="+")
    report.set_defaults(run=_report)
    gate.add_to(commands)
    return parser


def _queue(options: argparse.Namespace) -> int:
    session.require_linux()
    chosen, measurements = _chosen(options.only), _measurements(options.tests)
    reasons = install.install(chosen)
    absent = {one.name: reasons[one.software.environment] for one in chosen if one.software.environment in reasons}
    for name, why in absent.items():
        print(f"{name} could not be installed and is left out: {why}", flush=True)
    taking_part = [one for one in chosen if one.name not in absent]

    run = session.new_run(
        repeats=options.repeat,
        small=options.small,
        versions={one.name: one.versions() for one in taking_part},
        absent=absent,
    )
    sizes = SMALL if options.small else FULL
    _publish(
        run,
        session.measured(
            run, queue_report.SECTION, lambda keep: Rounds(taking_part, measurements, sizes, keep).run(options.repeat)
        ),
    )
    return 0


def _report(options: argparse.Namespace) -> int:
    _publish(*rows.read(options.files))
    return 0


def _publish(run: Run, measured: Sequence[Row]) -> None:
    text = queue_report.render(run, measured, {one.name: one for one in _ours_first(contender.everyone())})
    session.publish(run, queue_report.SECTION, text)


def _chosen(names: Sequence[str]) -> list[Contender]:
    everyone = contender.everyone()
    unknown = set(names) - {one.name for one in everyone}
    if unknown:
        known = ", ".join(one.name for one in everyone)
        raise Unusable(f"No contender is called {', '.join(sorted(unknown))}; there are {known}.")
    return [one for one in everyone if not names or one.name in names]


def _measurements(names: Sequence[str]) -> list[Measurement]:
    """Those whose name is given, or begins with it: `enqueue` is both ways of enqueueing."""
    unknown = [name for name in names if not any(one.startswith(name) for one in BY_NAME)]
    if unknown:
        raise Unusable(f"No test is called {', '.join(unknown)}; there are {', '.join(_test_names())}.")
    return [one for one in ALL if not names or one.name.startswith(tuple(names))]


def _test_names() -> list[str]:
    return list(BY_NAME)


def _ours_first(contenders: Sequence[Contender]) -> list[Contender]:
    return sorted(contenders, key=lambda one: (not one.name.startswith("sluice"), one.name))
