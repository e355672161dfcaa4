"""`python -m tests.faults.chaos --seed 7 --jobs 1000 --workers 4`: exit code 0 only if every promise was kept."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from tests.faults.chaos.report import complaints, table
from tests.faults.chaos.run import Order, run

_PAGE = Path(__file__).resolve().parents[3] / "bench" / "FAULTS.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of plan and errands; a new one when not given")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--lease-seconds", type=float, default=5.0)
    options = parser.parse_args()
    seed = random.randrange(10_000) if options.seed is None else options.seed
    order = Order(seed, options.jobs, options.workers, options.lease_seconds)
    outcome = asyncio.run(run(order, say=lambda text: print(text, flush=True)))
    page = table(outcome)
    _PAGE.parent.mkdir(exist_ok=True)
    _PAGE.write_text(page)
    print(f"\n{page}\nseed {seed}, {outcome.seconds:.0f} s; written to {_PAGE.relative_to(_PAGE.parents[1])}")
    if not outcome.kept:
        print(f"\n{complaints(outcome)}\n\nAgain: make faults SEED={seed} JOBS={order.jobs}", file=sys.stderr)
    return 0 if outcome.kept else 1


if __name__ == "__main__":
    sys.exit(main())
