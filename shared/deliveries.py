"""The delivery log, as the api sees it: look, replay, try an endpoint out. All methods raise StoreUnavailable."""

import json
from dataclasses import dataclass

from shared import ids, keys
from shared.delivery import Delivery, Try
from shared.endpoint import Endpoint
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.webhook import TEST_EVENT


@dataclass(frozen=True, slots=True)
class Logged:
    """A delivery and its attempts, oldest first."""

    delivery: Delivery
    tries: list[Try]


class Deliveries:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, tenant: str, delivery_id: str) -> Logged | None:
        """A delivery of this tenant. Another tenant's costs exactly what one there is not does: its list is asked
        before anything of the delivery is read."""
        async with reachable():
            listed = await self._redis.zrangebylex(
                keys.tenant_deliveries(tenant), f"[{delivery_id}", f"[{delivery_id}", 0, 1
            )
        found = await self._read(listed)
        return found[0] if found else None

    async def page(
        self, tenant: str, *, job_id: str | None, limit: int, after: str | None
    ) -> tuple[list[Logged], bool]:
        """A tenant's deliveries, or those of a job, those of the newest jobs first, from `after` on; and whether there
        are more."""
        prefix = ids.delivery_ids_of(job_id) if job_id else ""
        high = f"({after}" if after else (f"[{prefix}\xff" if prefix else "+")
        async with reachable():
            found = await self._redis.zrevrangebylex(
                keys.tenant_deliveries(tenant), high, f"[{prefix}" if prefix else "-", 0, limit + 1
            )
        return await self._read(found[:limit]), len(found) > limit

    async def replay(self, tenant: str, delivery_id: str) -> bool:
        """Makes it due now, with all attempts before it; False for one there is not."""
        return bool(await script("outbox_replay")(self._redis, {}, {"id": delivery_id, "tenant": tenant}))

    async def test(self, tenant: str, endpoint: Endpoint, host: str) -> str | None:
        """Files a delivery that tries the endpoint out; its id, None when the endpoint is gone."""
        delivery_id = ids.new_test_delivery_id()
        about = json.dumps({"endpoint_id": endpoint.id, "host": host})
        filed = await script("outbox_test")(
            self._redis, {}, {"id": delivery_id, "tenant": tenant, "type": TEST_EVENT, "about": about}
        )
        return delivery_id if filed else None

    async def _read(self, delivery_ids: list[str]) -> list[Logged]:
        """Those of them that are still kept."""
        if not delivery_ids:
            return []
        async with reachable(), self._redis.pipeline(transaction=False) as pipe:
            for one in delivery_ids:
                pipe.hgetall(keys.delivery(one))
                pipe.lrange(keys.delivery_attempts(one), 0, -1)
            answers = await pipe.execute()
        return [
            Logged(Delivery.from_hash(one, record), [Try.from_json(line) for line in tries])
            for one, record, tries in zip(delivery_ids, answers[::2], answers[1::2], strict=True)
            if record
        ]
