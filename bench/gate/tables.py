"""The tables of the gate's section: one for each scenario, with a row for each contender."""

from bench.gate.scenario import Scenario
from bench.gate.scenarios import SCENARIOS
from bench.table import Cell, Column, Table, number

_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("budget used %", number("use_percent", 1)),
    ("429s", number("refused", 0)),
    ("given up", number("given_up", 0)),
    ("answers/s", number("calls_per_s", 1)),
    ("wait p50 s", number("wait_p50_s", 2)),
    ("wait p99 s", number("wait_p99_s", 2)),
    ("large calls p99 s", number("large_p99_s", 2)),
)
_AMONG_TENANTS: tuple[tuple[str, Cell], ...] = (
    ("Jain index", number("jain", 3)),
    ("interactive p99 s", number("interactive_p99_s", 2)),
)
_COSTS: tuple[tuple[str, Cell], ...] = (
    ("Redis requests/call", number("redis_requests", 1)),
    ("Redis CPU ms/call", number("redis_ms", 2)),
    ("CPU %", number("cpu_percent", 0)),
)
_OUTAGE: tuple[tuple[str, Cell], ...] = (("529s", number("overloaded", 0)),)


def _table(scenario: Scenario) -> Table:
    columns = [*_COLUMNS, *_COSTS]
    if scenario.interactive:
        columns[len(_COLUMNS) : len(_COLUMNS)] = _AMONG_TENANTS
    if scenario.name == "outage":
        columns[2:2] = _OUTAGE
    return Table(
        scenario.title,
        tuple(Column(heading, cell, scenario.name) for heading, cell in columns),
        scenario.text,
        with_settings=False,
    )


TABLES = tuple(_table(scenario) for scenario in SCENARIOS)
