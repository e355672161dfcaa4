"""The outbox, as couriers see it: take deliveries that are due, say what became of them.

All methods raise StoreUnavailable when Redis is away, and are safe to repeat then.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared import keys, log
from shared.delivery import Delivery, DeliveryState, FailedBecause, Try, flat
from shared.endpoint import Endpoint
from shared.redis_client import ANSWER_SECONDS, Redis, reachable
from shared.scripts import script

logger = log.get(__name__)

LEASE_MS = 30_000
"""How long a delivery is a courier's. Twice what an attempt may take; after that somebody else makes it."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a courier takes: `most` in all, `per_well` of each host that is `well`, and of the others `per_other` of
    each and `others` of all together. `room` says for single hosts how many of these, whatever they are."""

    most: int
    per_well: int
    per_other: int
    others: int
    well: frozenset[str] = frozenset()
    room: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        fields = {name: getattr(self, name) for name in ("per_well", "per_other", "others", "room")}
        return json.dumps(fields | {"well": dict.fromkeys(self.well, True)})


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery with all that it takes to send it. `endpoint` is None when it was deleted. `output_bytes` is the
    length of the job's output, 0 for a job without one, None for a job that is gone or has not ended; `output` is only
    there when it is short enough to be sent."""

    delivery: Delivery
    endpoint: Endpoint | None
    output_bytes: int | None
    output: str | None


@dataclass(frozen=True, slots=True)
class Pickup:
    """What was taken, and Redis TIME in ms. `next_seconds` until the next delivery is due (None: none is known),
    `oldest_seconds` since the oldest has been due, `left` whether some may be due still, of hosts without room here."""

    parcels: list[Parcel]
    now_ms: int
    next_seconds: float | None
    oldest_seconds: float
    left: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a delivery. One that is pending is tried again after `delay_seconds`. `endpoint` is "disabled" or
    "enabled" when that is what its endpoint is from now on."""

    state: DeliveryState
    reason: FailedBecause | None = None
    delay_seconds: float = 0
    endpoint: str = ""


class Outbox:
    """`retention_ms` is how long a job is kept, and what came of its webhooks, which is for a day at least."""

    def __init__(self, redis: Redis, *, retention_ms: int) -> None:
        self._redis = redis
        self._retention_ms = retention_ms

    async def claim(self, room: Room) -> Pickup:
        """Repeated after a lost answer it gives others: those it gave before are due again after their lease."""
        now_ms, taken, next_ms, oldest_ms, left = await script("outbox_claim")(
            self._redis,
            {},
            {"most": room.most, "hosts": room.as_json(), "lease_ms": LEASE_MS},
        )
        parcels = [_parcel(*taken[at : at + 5]) for at in range(0, len(taken), 5)]
        return Pickup(
            parcels=[parcel for parcel in parcels if parcel],
            now_ms=now_ms,
            next_seconds=None if next_ms < 0 else next_ms / 1000,
            oldest_seconds=oldest_ms / 1000,
            left=bool(left),
        )

    async def settle(self, delivery: Delivery, settlement: Settlement, made: Try | None) -> bool:
        """False when the delivery is somebody else's by now."""
        return bool(
            await script("outbox_settle")(
                self._redis,
                {},
                {
                    "id": delivery.id,
                    "claim": delivery.claims,
                    "state": settlement.state,
                    "reason": settlement.reason or "",
                    "delay_ms": int(settlement.delay_seconds * 1000),
                    "attempt": made.to_json() if made else "",
                    "endpoint": settlement.endpoint,
                    "retention_ms": self._retention_ms,
                },
            )
        )

    async def called(self, seconds: float) -> bool:
        """Waits until there is something to do, but not longer than that; whether there is."""
        async with reachable(seconds + ANSWER_SECONDS):
            return await self._redis.blpop([keys.OUTBOX_WAKE], timeout=seconds) is not None

    async def pass_on(self) -> None:
        """To be called by a courier that was called and cannot come."""
        await script("outbox_pass_on")(self._redis, {})


def _parcel(delivery_id: str, record: list[str], endpoint: list[str], length: int, output: Any) -> Parcel | None:
    """None, said, for one of another version, which must not keep others back: it is due again after its lease."""
    try:
        delivery = Delivery.from_hash(delivery_id, flat(record))
        sender = Endpoint.from_hash(delivery.endpoint_id, flat(endpoint)) if endpoint else None
    except Exception as error:
        logger.error("delivery_unreadable", delivery=delivery_id, error=type(error).__name__)
        return None
    return Parcel(delivery, sender, None if length < 0 else length, output or None)
