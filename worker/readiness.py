"""Is this worker ready: does Redis answer, and does the provider of every target?

The provider is asked seldom and for something that costs nothing, and the answer is shared through Redis, so that
a hundred workers do not ask a hundred times.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from shared import keys
from shared.errors import StoreUnavailable
from shared.redis_client import Redis, ping, reachable
from worker.model_call import TargetClient
from worker.provider import ProviderBusy, ProviderError

_FRESH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Readiness:
    """`checks` maps redis and each target to "ok" or to what is wrong."""

    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        return all(result == "ok" for result in self.checks.values())


class ReadinessProbe:
    def __init__(self, redis: Redis, targets: Iterable[TargetClient]) -> None:
        self._redis = redis
        self._targets = list(targets)

    async def look(self) -> Readiness:
        checks = {"redis": "ok"}
        try:
            for target in self._targets:
                checks[f"target:{target.name}"] = await self._target(target)
            await ping(self._redis)
        except StoreUnavailable as error:
            checks["redis"] = str(error)
        return Readiness(checks)

    async def _target(self, target: TargetClient) -> str:
        key = keys.probe(target.name)
        async with reachable():
            known = await self._redis.get(key)
        if known:
            return str(json.loads(known))
        try:
            await target.provider.probe()
            result = "ok"
        except ProviderBusy:
            result = "ok"  # it answers; that it is busy is the gate's business
        except ProviderError as error:
            result = f"{error.type}: {error}"
        async with reachable():
            await self._redis.set(key, json.dumps(result), ex=_FRESH_SECONDS if result == "ok" else 5)
        return result
