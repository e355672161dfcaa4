"""A job's purse: each of its model calls is fitted to what is left before it is made, and holds that until it is
settled.

Left is what the job's own limits leave, and what its tenant may still spend today. The job's part is a matter of its
journal and of this process, which alone runs it. The tenant's day is shared by all workers, so it is asked in Redis,
which is one round trip, if the tenant has such a limit. While Redis is away the call waits: no limit is passed blindly.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from shared.day_budget import DayBudget, Shortage
from shared.job import Job
from shared.redis_client import until_reachable
from shared.turn import BrokenRecord, ModelRecord, Record
from shared.usage import Usage, dollars
from worker import pricing
from worker.budget import LEAST_ANSWER, NextCall, OutOfBudget, Price, fitting_answer
from worker.model_call import TargetClient
from worker.provider import ModelRequest
from worker.worst_case import input_at_most


class Purse:
    """Of one job in one attempt, which makes one call at a time. `daily_nano` is what its tenant's jobs may cost a day,
    0 for any amount."""

    def __init__(self, job: Job, owner: str, day: DayBudget, daily_nano: int) -> None:
        self._job = job
        self._owner = owner
        self._day = day
        self._daily_nano = daily_nano
        self._held = 0
        self._one_by_one = asyncio.Lock()

    async def fit(
        self, request: ModelRequest, target: TargetClient, used: Usage, known: ModelRecord | None
    ) -> ModelRequest:
        """The request with as long an answer as there is money and tokens for, which it holds from now on.

        `used` is what the job has used so far, `known` the call whose conversation the request goes on with, if it
        does. Raises OutOfBudget, and LeaseLost.
        """
        limits = self._job.spec.budget
        if limits.max_tokens is None and limits.max_cost_nano is None and not self._daily_nano:
            return request
        counted = known if known is not None and known.target == target.name else None
        call = NextCall(input_at_most(request, counted), request.max_tokens, self._price(target))
        longest = fitting_answer(limits, used, call)
        if self._daily_nano:
            async with self._one_by_one:
                longest = await self._set_aside(replace(call, longest=longest))
                self._held = call.cost(longest)
        return replace(request, max_tokens=longest)

    @asynccontextmanager
    async def settling(self, record: Record) -> AsyncIterator[int]:
        """Around the checkpoint of a record. Yields what is still held once it is written: nothing, if it settles the
        call."""
        async with self._one_by_one:
            settles = isinstance(record, ModelRecord | BrokenRecord)
            yield 0 if settles else self._held
            if settles:
                self.let_go()

    def let_go(self) -> None:
        """The call has ended."""
        self._held = 0

    def _price(self, target: TargetClient) -> Price:
        """A limit in money cannot be kept with a model that has no price: then it is not called."""
        if pricing.has_price(target.provider_name, target.model):
            return partial(pricing.highest_cost_nano, target.provider_name, target.model)
        if self._daily_nano or self._job.spec.budget.max_cost_nano is not None:
            raise OutOfBudget(f"The model {target.model} has no listed price: a limit in money cannot be kept with it.")
        return _free

    async def _set_aside(self, call: NextCall) -> int:
        """The longest answer that the tenant's day has money for, which is taken from it."""
        least = min(LEAST_ANSWER, call.longest)
        if call.cost(least) > self._daily_nano:
            raise OutOfBudget(
                f"The next call may cost {dollars(call.cost(least))} dollars even with a short answer, more than the "
                f"{dollars(self._daily_nano)} that the tenant's jobs may cost in a whole day."
            )
        granted = await until_reachable(
            lambda: self._day.reserve(
                self._owner,
                self._job.id,
                least=call.cost(least),
                wanted=call.cost(call.longest),
                per_day=self._daily_nano,
            )
        )
        if isinstance(granted, Shortage):
            raise OutOfBudget(
                f"The next call may cost {dollars(call.cost(least))} dollars even with a short answer, and less is "
                f"left of the {dollars(self._daily_nano)} that the tenant's jobs may cost a day.",
                wait=granted.seconds,
                in_flight=granted.in_flight,
            )
        return call.longest_within(nano=granted)


def _free(input_tokens: int, output_tokens: int) -> int:
    return 0
