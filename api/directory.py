"""The agents that can be asked for, as the workers announced them: remembered, and read anew when one is missing."""

from api.problems import Code, FieldError, Problem
from shared import clock
from shared.catalogue import AgentEntry, Catalogue

_FRESH_SECONDS = 10.0
_PATIENCE_SECONDS = 0.5
"""How often unknown names may cause a read."""


class AgentDirectory:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._agents: dict[str, AgentEntry] = {}
        self._read_at = -_FRESH_SECONDS

    async def all(self) -> list[AgentEntry]:
        await self._read_if_older_than(0)
        return list(self._agents.values())

    async def find(self, name: str) -> AgentEntry:
        """Raises Problem 422 that lists the agents there are, or 503 while none has ever been announced."""
        await self._read_if_older_than(_FRESH_SECONDS)
        if name not in self._agents:
            await self._read_if_older_than(_PATIENCE_SECONDS)
        if not self._agents:
            raise Problem(
                Code.NO_WORKER_YET, "No worker has started yet; repeat it soon.", headers={"Retry-After": "2"}
            )
        if name not in self._agents:
            detail = f"There is no agent {name!r}; there is {', '.join(self._agents)}."
            raise Problem(Code.UNKNOWN_AGENT, detail, errors=[FieldError(pointer="#/agent", detail="no such agent")])
        return self._agents[name]

    async def _read_if_older_than(self, seconds: float) -> None:
        if clock.monotonic() - self._read_at >= seconds:
            self._agents = await self._catalogue.read()
            self._read_at = clock.monotonic()
