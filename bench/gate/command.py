"""`python -m bench gate` and `python -m bench gate-report`."""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench import rows, session
from bench.gate import contenders, report, scenarios
from bench.gate.contender import Contender
from bench.gate.rounds import Rounds
from bench.gate.scenario import Scenario
from bench.rows import Row, Run
from bench.unusable import Unusable

_SMALL_SCALE = 0.25
_OF_ALL = ("anthropic", "httpx2")
"""What every contender calls the provider with."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    gate = commands.add_parser("gate", help="measure the gate, and write its section of RESULTS.md")
    gate.add_argument("--repeat", type=int, default=3)
    gate.add_argument("--only", type=session.names, default=[], help=f"of {', '.join(contenders.BY_NAME)}")
    gate.add_argument("--scenarios", type=session.names, default=[], help=f"of {', '.join(scenarios.BY_NAME)}")
    gate.add_argument("--small", action="store_true", help="show that it works; RESULTS.md is left alone")
    gate.set_defaults(run=_gate)
    again = commands.add_parser(
        "gate-report", help="write the gate's section again, from the rows of one run or several"
    )
    again.add_argument("files", type=Path, nargs="+")
    again.set_defaults(run=_report)


def _gate(options: argparse.Namespace) -> int:
    session.require_linux()
    chosen, happening = _contenders(options.only), _scenarios(options.scenarios)
    run = session.new_run(
        repeats=options.repeat,
        small=options.small,
        versions={one.name: {name: version(name) for name in (*one.packages, *_OF_ALL)} for one in chosen},
    )
    scale = _SMALL_SCALE if options.small else 1
    _publish(
        run,
        session.measured(run, report.SECTION, lambda keep: Rounds(chosen, happening, scale, keep).run(options.repeat)),
    )
    return 0


def _report(options: argparse.Namespace) -> int:
    _publish(*rows.read(options.files))
    return 0


def _publish(run: Run, measured: Sequence[Row]) -> None:
    session.publish(run, report.SECTION, report.render(run, measured))


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
