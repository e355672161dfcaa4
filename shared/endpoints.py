"""The tenants' endpoints: made, listed, given new secrets, forgotten. All methods raise StoreUnavailable.

Secrets stand in Redis as they are, since they have to sign (docs/adr/0010-webhooks.md); they leave it only to sign, and
once to whoever made them.
"""

from dataclasses import dataclass

from pydantic import SecretStr

from shared import clock, ids, keys
from shared.delivery import flat
from shared.endpoint import Endpoint
from shared.redis_client import Redis, reachable
from shared.scripts import script
from shared.webhook import JOB_URLS, new_secret

MOST_ENDPOINTS = 100
"""Of one tenant, and that for job URLs comes on top."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """An endpoint's new secret, and until when the one before signs, too; None when there was none."""

    secret: SecretStr
    prior_until_ms: int | None


class Endpoints:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, tenant: str, *, url: str, description: str) -> Endpoint | None:
        """None when the tenant has as many as it may have."""
        endpoint_id, secret = ids.new_endpoint_id(), new_secret()
        created_ms = await script("endpoint_add")(
            self._redis,
            _keys(tenant, endpoint_id),
            {
                "id": endpoint_id,
                "url": url,
                "description": description,
                "secret": secret,
                "most": MOST_ENDPOINTS,
                "not_counted": JOB_URLS,
            },
        )
        if not created_ms:
            return None
        return Endpoint(endpoint_id, url, description, created_ms, None, SecretStr(secret), None, 0)

    async def find(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        async with reachable():
            record = await self._redis.hgetall(keys.endpoint(tenant, endpoint_id))
        return Endpoint.from_hash(endpoint_id, record) if record else None

    async def all(self, tenant: str) -> list[Endpoint]:
        """Oldest first."""
        async with reachable():
            found = await self._redis.zrangebylex(keys.tenant_endpoints(tenant), "-", "+", 0, MOST_ENDPOINTS + 1)
            async with self._redis.pipeline(transaction=False) as pipe:
                for endpoint_id in found:
                    pipe.hgetall(keys.endpoint(tenant, endpoint_id))
                records = await pipe.execute() if found else []
        return [Endpoint.from_hash(one, record) for one, record in zip(found, records, strict=True) if record]

    async def rotate(self, tenant: str, endpoint_id: str) -> Rotation | None:
        """None for an endpoint there is not; that for job URLs is made when it is asked for."""
        secret = new_secret()
        until_ms = await script("endpoint_rotate")(
            self._redis,
            _keys(tenant, endpoint_id),
            {
                "id": endpoint_id,
                "secret": secret,
                "overlap_ms": clock.DAY_MS,
                "make": int(endpoint_id == JOB_URLS),
            },
        )
        return None if until_ms < 0 else Rotation(SecretStr(secret), until_ms or None)

    async def for_job_urls(self, tenant: str) -> Endpoint:
        """The one whose secret signs what goes to URLs that jobs name themselves; made when it is first needed."""
        where, secret = _keys(tenant, JOB_URLS), new_secret()
        record = await script("endpoint_for_job_urls")(self._redis, where, {"id": JOB_URLS, "secret": secret})
        return Endpoint.from_hash(JOB_URLS, flat(record))

    async def remove(self, tenant: str, endpoint_id: str) -> bool:
        """Whether there was one."""
        gone = await script("endpoint_remove")(self._redis, _keys(tenant, endpoint_id), {"id": endpoint_id})
        return bool(gone)


def _keys(tenant: str, endpoint_id: str) -> dict[str, str]:
    return {"endpoint": keys.endpoint(tenant, endpoint_id), "endpoints": keys.tenant_endpoints(tenant)}
