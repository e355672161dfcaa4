"""The repeats, interleaved: each visits every scenario with every contender, in another order each time."""

import json
import random
import time
from collections.abc import Callable, Sequence

from bench.gate.contender import Contender
from bench.gate.scenario import Scenario
from bench.gate.trial import Trial
from bench.rounds import without_paths
from bench.rows import Row

_PROFILE = "default"


class Rounds:
    """`run` makes all runs, one at a time, and hands over each row as soon as there is one."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        scenarios: Sequence[Scenario],
        scale: float,
        on_row: Callable[[Row], None],
    ) -> None:
        """`scale` is a factor to the scenarios' times."""
        self._contenders = contenders
        self._scenarios = scenarios
        self._scale = scale
        self._on_row = on_row

    def run(self, repeats: int) -> None:
        for repeat in range(1, repeats + 1):
            for scenario in self._scenarios:
                order = list(self._contenders)
                random.Random(f"{repeat} {scenario.name}").shuffle(order)
                for contender in order:
                    self._tell(self._row(contender, scenario, repeat))

    def _row(self, contender: Contender, scenario: Scenario, repeat: int) -> Row:
        try:
            figures = Trial(contender, scenario, scale=self._scale, seed=repeat).run()
        except Exception as error:  # whatever it is, it goes into the report and the others go on
            said = without_paths(f"{type(error).__name__}: {error}")
            return Row(scenario.name, contender.name, _PROFILE, repeat, {}, said)
        return Row(scenario.name, contender.name, _PROFILE, repeat, figures)

    def _tell(self, row: Row) -> None:
        self._on_row(row)
        shown = {name: round(value, 2) if isinstance(value, float) else value for name, value in row.figures.items()}
        print(
            time.strftime("%H:%M:%S"),
            row.repeat,
            row.measurement,
            row.contender,
            row.error or json.dumps(shown),
            flush=True,
        )
