"""One run: a fleet, a plan, all errands, and the verdict."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from shared import clock
from tests.faults.chaos.customer import Customer, Story, all_see_through, http_client
from tests.faults.chaos.errands import TENANTS, make_errands
from tests.faults.chaos.evidence import Evidence, gather
from tests.faults.chaos.fleet import Fleet
from tests.faults.chaos.person import Person
from tests.faults.chaos.plan import make_plan
from tests.faults.chaos.promises import judge
from tests.faults.chaos.report import Outcome
from tests.faults.chaos.strikes import Strikes

_OPEN_PER_WORKER = 12
_LOOKS_AT_ONCE = 20
_STALL_SECONDS = 120.0
"""When nothing has ended for so long, nothing will: far longer than the longest park and the longest fault."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run. With the same seed it is the same plan and the same errands."""

    seed: int
    jobs: int = 1000
    workers: int = 4
    lease_seconds: float = 5.0


async def run(order: Order, say: Callable[[str], None]) -> Outcome:
    """Returns when all has ended, well or not. `say` is told what is about to happen and what does."""
    started = clock.monotonic()
    plan = make_plan(order.seed, jobs=order.jobs, workers=order.workers, lease_seconds=order.lease_seconds)
    say(f"seed {order.seed}, {order.jobs} jobs, {order.workers} workers; the plan:")
    for strike in plan:
        say(f"  {strike}")
    stories = [Story(errand) for errand in make_errands(order.seed, order.jobs)]
    with Fleet(workers=order.workers, lease_seconds=order.lease_seconds) as fleet:
        strikes = Strikes(fleet, plan, on_strike=lambda strike: say(f"{clock.monotonic() - started:6.1f} s: {strike}"))
        evidence = await _watch(fleet, strikes, stories, at_once=_OPEN_PER_WORKER * order.workers)
    return Outcome(
        seed=order.seed,
        jobs=order.jobs,
        workers=order.workers,
        struck=dict(strikes.done),
        evidence=evidence,
        verdicts=judge(evidence),
        seconds=clock.monotonic() - started,
    )


async def _watch(fleet: Fleet, strikes: Strikes, stories: list[Story], *, at_once: int) -> Evidence:
    async with http_client(fleet.url) as http, Person(fleet.marks.url) as person:
        customer = Customer(http, person)
        await all_see_through(customer, stories, at_once=at_once, on_end=strikes.ended, stall_seconds=_STALL_SECONDS)
        await asyncio.to_thread(strikes.finish)
        places = asyncio.Semaphore(_LOOKS_AT_ONCE)
        await asyncio.gather(*(_look_again(customer, story, places) for story in stories if story.last))
        listed = [job for tenant in TENANTS for job in await customer.all_jobs(tenant)]
    await asyncio.to_thread(fleet.drain_all)
    return await gather(fleet, stories, listed)


async def _look_again(customer: Customer, story: Story, places: asyncio.Semaphore) -> None:
    async with places:
        await customer.look_again(story)
