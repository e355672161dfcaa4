"""The agents that can be asked for, as the workers announced them, and what their jobs are likely to cost: remembered,
and read anew now and then, or when an agent is missing.

Whoever asks when it is no longer fresh has it read in the background and does not wait for that: a submit costs one
round trip to Redis, and none of those that come all the time is to pay for a second. What is older than that is read
first, as after a pause: nobody is told of agents that are long gone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from api.problems import Code, FieldError, Problem
from shared import clock
from shared.catalogue import AgentEntry, Catalogue
from shared.errors import StoreUnavailable
from shared.forecast import Forecasts
from shared.job import Job
from shared.sections import Tenant

_FRESH_SECONDS = 10.0
_STALE_SECONDS = 20.0
_PATIENCE_SECONDS = 0.5
"""How often unknown names may cause a read."""


class AgentDirectory:
    def __init__(self, catalogue: Catalogue, forecasts: Forecasts, tenants: Mapping[str, Tenant]) -> None:
        self._catalogue = catalogue
        self._forecasts = forecasts
        self._allowed = {name: tenant.agents for name, tenant in tenants.items() if tenant.agents is not None}
        self._agents: dict[str, AgentEntry] = {}
        self._costs: dict[str, int] = {}
        self._read_at = -_STALE_SECONDS
        self._renewal: asyncio.Task[None] | None = None

    async def all(self) -> list[AgentEntry]:
        await self._read()
        return list(self._agents.values())

    def may_ask_for(self, tenant: str, name: str) -> bool:
        return tenant not in self._allowed or name in self._allowed[tenant]

    async def find(self, name: str, tenant: str) -> AgentEntry:
        """Raises Problem 403 for an agent that is not for this tenant, whether there is one or not; 422 that lists the
        agents there are, or 503 while none has ever been announced."""
        if not self.may_ask_for(tenant, name):
            raise self._not_allowed(name, self._allowed[tenant])
        await self._keep_fresh()
        if name not in self._agents and self._age() >= _PATIENCE_SECONDS:
            await self._read()
        if not self._agents:
            raise Problem(
                Code.NO_WORKER_YET, "No worker has started yet; repeat it soon.", headers={"Retry-After": "2"}
            )
        if name not in self._agents:
            known = [one for one in self._agents if self.may_ask_for(tenant, one)]
            detail = f"There is no agent {name!r}; there is {', '.join(known) or 'none for you'}."
            raise Problem(Code.UNKNOWN_AGENT, detail, errors=[FieldError(pointer="#/agent", detail="no such agent")])
        return self._agents[name]

    async def is_custom(self, name: str) -> bool:
        """Whether the agent is a function that asks its model itself; not of one that nobody runs any more."""
        await self._keep_fresh()
        return name in self._agents and self._agents[name].kind == "custom"

    async def estimate(self, job: Job) -> int | None:
        """Nano-dollars that an unfinished job is likely to cost, which is never more than it may; None while nothing is
        known of its agent's jobs, and for one that has finished. Raises StoreUnavailable."""
        if job.finished:
            return None
        await self._keep_fresh()
        cost, limit = self._costs.get(job.spec.agent), job.spec.budget.max_cost_nano
        return cost if cost is None or limit is None else min(cost, limit)

    @staticmethod
    def _not_allowed(name: str, allowed: Sequence[str]) -> Problem:
        detail = (
            f"You may ask for {', '.join(allowed) or 'no agent'}, and not for {name!r}; ask whoever runs this service "
            "for it (agents in [tenants.NAME])."
        )
        return Problem(Code.AGENT_NOT_ALLOWED, detail, errors=[FieldError(pointer="#/agent", detail="not for you")])

    def _age(self) -> float:
        return clock.monotonic() - self._read_at

    async def _keep_fresh(self) -> None:
        if self._age() >= _STALE_SECONDS:
            await self._read()
        elif self._age() >= _FRESH_SECONDS and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        with suppress(StoreUnavailable):  # the next one asks again
            await self._read()

    async def _read(self) -> None:
        self._costs = await self._forecasts.read()
        self._agents = await self._catalogue.read()
        self._read_at = clock.monotonic()
