"""The real API: what a demo may spend there at most, and whether that is all right."""

import os
import sys
from collections.abc import Iterable
from decimal import Decimal

from rich.console import Console

from shared.sections import Target
from shared.settings import Settings, load
from shared.usage import NANO, Usage
from worker.pricing import cost_nano

JOB_COST = Decimal("0.10")
"""Dollars: the budget of one job. No turn begins once that is spent."""
LONGEST_ANSWER = 4096
"""Tokens: no shipped agent's `max_output_tokens` is above it."""


_KEYED_BY = ("ANTHROPIC_API_KEY", "SLUICE_CONFIG", "SLUICE_TARGETS")
"""Variables without any of which no target can have a key."""


class Unaffordable(Exception):
    """It cannot be said what it costs, or nobody has agreed to it."""


def settings() -> Settings:
    """The settings of a worker that calls the real API. Raises Unaffordable without a key, and SettingsError."""
    if not any(name.startswith(_KEYED_BY) for name in os.environ):
        raise Unaffordable(
            "The real API needs a key: export ANTHROPIC_API_KEY=… first. Without one, leave --live (LIVE=1) away: "
            "then a simulated provider answers, and nothing is spent."
        )
    return load("worker")


def most(targets: Iterable[Target], jobs: int) -> Decimal:
    """Dollars that so many jobs cost at most.

    The turn that goes over a budget is the last one. It reads what its job has paid for so far, which was less than
    the budget, and writes one answer. Raises Unaffordable for a model without a listed price.
    """
    answers = [_price_of_an_answer(target) for target in targets]
    return jobs * (2 * JOB_COST + max(answers))


def agree(console: Console, targets: Iterable[Target], jobs: int, *, agreed: bool) -> None:
    """Says what it costs and asks. Raises Unaffordable unless that is agreed to."""
    targets = list(targets)
    for address in sorted({f"{target.model} at {target.base_url}" for target in targets}):
        console.print(f"This calls the real API: {address}.", highlight=False, soft_wrap=True)
    console.print(
        f"It will spend ${most(targets, jobs):.2f} at most, and likely much less: {jobs} jobs that begin no further "
        f"turn once they have cost ${JOB_COST} each.",
        highlight=False,
    )
    if agreed:
        return
    if not sys.stdin.isatty():
        raise Unaffordable("There is no terminal to ask on; agree to it with --yes.")
    if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Unaffordable("Nothing was started and nothing was spent.")


def _price_of_an_answer(target: Target) -> Decimal:
    price = cost_nano(target.provider, target.model, Usage(output_tokens=LONGEST_ANSWER))
    if not price:
        raise Unaffordable(f"No price is known for {target.model}, so it cannot be said what this would cost.")
    return Decimal(price) / NANO
