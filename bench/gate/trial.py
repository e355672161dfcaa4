"""One run: a server, a provider and eight workers of their own, and what the scenario lets happen to them."""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.contender import clean_environment
from bench.gate import call_log, reckoning
from bench.gate.budget import DIMENSIONS
from bench.gate.contender import Contender
from bench.gate.plan import Plan, start
from bench.gate.reckoning import Books, Look
from bench.gate.scenario import ALL_WORKERS, Event, Foreign, Kill, NewLimits, Outage, Scenario
from bench.measurement import Figures
from bench.process_tree import ProcessTree, cpu_seconds
from bench.rig import MeasurementFailed
from bench.store import Store
from bench.waiting import until
from local.provider_process import ProviderProcess
from shared.sections import DEFAULT_MODEL

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0
_END_SECONDS = 20.0
_BEFORE_START_SECONDS = 0.3
_TOKENS_PER_SECOND = 800
_WORD_CHARACTERS = 800
_FLEET = (sys.executable, "-m", "bench.gate.fleet")


class Trial:
    """Use `run` once. The scenario is one of `bench.gate.scenarios`, `scale` a factor to its times."""

    def __init__(self, contender: Contender, scenario: Scenario, *, scale: float, seed: int) -> None:
        self._scenario = scenario.scaled(scale)
        self._name = contender.name
        self._scale = scale
        self._seed = seed
        self._outages: list[tuple[Books, Books]] = []

    def run(self) -> Figures:
        """Raises MeasurementFailed."""
        with ExitStack() as exits:
            folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-"))
            self._store = exits.enter_context(Store())
            self._provider = exits.enter_context(ProviderProcess(*_flags(self._scenario)))
            self._plan = Plan(
                contender=self._name,
                scenario=self._scenario.name,
                scale=self._scale,
                seed=self._seed,
                redis_url=self._store.url,
                provider_url=self._provider.url,
                folder=folder,
            )
            self._fleet = exits.enter_context(self._workers())
            self._await_workers()
            self._began = start(self._plan, _BEFORE_START_SECONDS)
            warm, end = self._happen()
            self._await_end()
            calls = call_log.read(path for number in ALL_WORKERS if (path := self._plan.log(number)).exists())
        cores = os.cpu_count() or 1
        return reckoning.figures(reckoning.Run(self._scenario, warm, end, self._outages, calls, cores))

    def _happen(self) -> tuple[Look, Look]:
        """Everything at its moment; how things stood when the measured part began, and when it ended."""
        looks: list[Look] = []
        moments = [moment for event in self._scenario.events for moment in self._moments(event)]
        looking = [
            (at, lambda: looks.append(self._look())) for at in (self._scenario.warm_seconds, self._scenario.seconds)
        ]
        for at, act in sorted([*moments, *looking], key=lambda moment: moment[0]):
            time.sleep(max(0.0, self._began + at - time.monotonic()))
            act()
        return looks[0], looks[1]

    def _moments(self, event: Event) -> Iterator[tuple[float, Callable[[], None]]]:
        """When an event does what."""
        match event:
            case Foreign():
                gulp = dict(zip(DIMENSIONS, self._scenario.budget.worth(event.gulp_seconds), strict=True))
                yield event.at, lambda: self._provider.let_in(share=event.share, gulp=gulp)
            case NewLimits():
                limits = self._scenario.budget.times(event.factor).limits()
                changes = {f"{name}_per_minute": limit for name, limit in zip(DIMENSIONS, limits, strict=True)}
                yield event.at, lambda: self._provider.change_limits(**changes)
            case Kill():
                yield event.at, lambda: self._kill(event.workers)
            case Outage():
                yield event.at, self._begin_outage
                yield event.at + event.seconds, self._end_outage

    def _begin_outage(self) -> None:
        self._provider.set_fault("529")
        self._before_outage = self._books()

    def _end_outage(self) -> None:
        self._outages.append((self._before_outage, self._books()))
        self._provider.set_fault(None)

    def _kill(self, workers: tuple[int, ...]) -> None:
        for number in workers:
            os.kill(int(self._plan.ready(number).read_text("utf-8")), signal.SIGKILL)

    def _look(self) -> Look:
        at = time.monotonic() - self._began
        redis = self._store.work()
        cpu = self._fleet.cpu_seconds() + cpu_seconds(self._provider.pid) + redis.cpu_seconds
        return Look(at, self._books(), redis, cpu)

    def _books(self) -> Books:
        return self._provider.books(DEFAULT_MODEL)

    @contextlib.contextmanager
    def _workers(self) -> Iterator[ProcessTree]:
        """Ended at the latest when this is left."""
        tree = ProcessTree(
            [*_FLEET, self._plan.as_json()],
            _ROOT,
            clean_environment(),
            Path(self._plan.folder) / "fleet.out",
        )
        try:
            yield tree
        finally:
            tree.kill()

    def _await_workers(self) -> None:
        def ready() -> bool:
            return not self._fleet.alive or all(self._plan.ready(number).exists() for number in ALL_WORKERS)

        if not until(ready, _START_SECONDS) or not self._fleet.alive:
            raise MeasurementFailed(f"the workers did not start: {self._last_words()}")

    def _await_end(self) -> None:
        if not until(lambda: not self._fleet.alive, _END_SECONDS):
            raise MeasurementFailed(f"the workers did not end: {self._last_words()}")
        if self._fleet.status:
            raise MeasurementFailed(f"a worker broke: {self._last_words()}")

    def _last_words(self) -> str:
        output = Path(self._plan.folder) / "fleet.out"
        return output.read_text(errors="replace")[-_WORD_CHARACTERS:].strip()


def _flags(scenario: Scenario) -> list[str]:
    """Of `python -m local.provider`."""
    budget = scenario.budget
    flags = {
        "requests-per-minute": budget.requests,
        "input-tokens-per-minute": budget.input_tokens,
        "output-tokens-per-minute": budget.output_tokens,
        "burst": budget.burst,
        "tokens-per-second": _TOKENS_PER_SECOND,
    }
    told = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    return [*told, "--charge-refused"] if scenario.charge_refused else told
