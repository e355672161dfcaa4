"""A worker's courier: takes deliveries from the outbox and sends them, each for itself, beside the jobs.

A delivery is leased: a courier that dies loses none, somebody sends it again (`shared/lua/outbox_claim.lua`).
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any

from shared import clock, log, metrics
from shared.delivery import DeliveryState, FailedBecause, Try
from shared.endpoints import Endpoints
from shared.errors import StoreUnavailable, UrlNotAllowed
from shared.outbox import Outbox, Parcel, Settlement
from shared.receiver import Receiver, UrlPolicy, receiver
from shared.redis_client import until_reachable
from worker.background import every
from worker.webhooks import message
from worker.webhooks.hosts import Hosts
from worker.webhooks.schedule import pause
from worker.webhooks.sender import Answer, Sender

logger = log.get(__name__)

_IDLE_SECONDS = 10.0
"""How often the outbox is looked at without being called: what a dead courier left is found so."""
_SOON_SECONDS = 1.0
_SETTLE_SECONDS = 60.0
"""How long it is tried to write down what became of a delivery; after that somebody sends it again."""
_LAST_WORDS_SECONDS = 2.0


class Courier:
    """`loops` run for as long as the process works, then `drain`."""

    def __init__(
        self, outbox: Outbox, endpoints: Endpoints, sender: Sender, policy: UrlPolicy, *, keep_answers: bool
    ) -> None:
        self._outbox = outbox
        self._endpoints = endpoints
        self._sender = sender
        self._policy = policy
        self._keep_answers = keep_answers
        self._hosts = Hosts()
        self._called = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._pause = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def loops(self) -> Iterator[Coroutine[None, None, None]]:
        yield every(0, "webhooks", self._round)
        yield every(0.1, "webhooks_called", self._listen)

    async def drain(self, seconds: float, hurry: asyncio.Event) -> None:
        """To be called when the loops have ended: attempts under way may end within that time, or until there is no
        more time at all; what is left then is given back."""
        if self._tasks:
            all_ended = asyncio.create_task(asyncio.wait(list(self._tasks)))
            hurried = asyncio.create_task(hurry.wait())
            either: list[asyncio.Task[Any]] = [all_ended, hurried]
            await asyncio.wait(either, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
            late = [all_ended, hurried, *self._tasks]
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_LAST_WORDS_SECONDS)
        with suppress(StoreUnavailable):  # a call that came just when the loops ended
            await self._outbox.pass_on()

    async def _round(self) -> None:
        """Waits until something is due, or may be; then takes what there is room for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._called.wait()
        self._called.clear()
        self._pause = _SOON_SECONDS  # after a failure, too
        if not self._hosts.free:
            return  # whatever ends next calls
        pickup = await self._outbox.claim(self._hosts.room())
        metrics.WEBHOOK_OLDEST_DUE.set(pickup.oldest_seconds)
        for parcel in pickup.parcels:
            self._start(parcel, pickup.now_ms)
        soonest = _IDLE_SECONDS if pickup.next_seconds is None else min(_IDLE_SECONDS, pickup.next_seconds)
        self._pause = 0.0 if pickup.parcels and pickup.left else soonest

    async def _listen(self) -> None:
        """Hears when something becomes due; one that has no room leaves that to others."""
        await self._has_room.wait()
        if await self._outbox.called(_IDLE_SECONDS):
            self._called.set()
            if not self._hosts.free:
                await self._outbox.pass_on()

    def _start(self, parcel: Parcel, now_ms: int) -> None:
        self._hosts.began(parcel.delivery.host)
        task = asyncio.create_task(self._deliver(parcel, now_ms))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self._note_room()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._note_room()
        self._called.set()  # its host has room again
        if not task.cancelled() and (error := task.exception()):
            logger.error("webhook_broke", error=f"{type(error).__name__}: {error}")

    def _note_room(self) -> None:
        metrics.WEBHOOKS_IN_FLIGHT.set(len(self._tasks))
        if self._hosts.free:
            self._has_room.set()
        else:
            self._has_room.clear()

    async def _deliver(self, parcel: Parcel, now_ms: int) -> None:
        began, well = clock.monotonic(), None
        try:
            settlement, made = await self._attempt(parcel, now_ms)
            well = settlement.state == DeliveryState.DELIVERED if made else None
        except asyncio.CancelledError:
            await self._settle(parcel, Settlement(DeliveryState.PENDING), None)
            raise
        finally:
            self._hosts.ended(parcel.delivery.host, well=well, seconds=clock.monotonic() - began)
        await self._settle(parcel, settlement, made)

    async def _attempt(self, parcel: Parcel, now_ms: int) -> tuple[Settlement, Try | None]:
        """What becomes of it, and the attempt, None when none was made."""
        try:
            to = self._address(parcel)
        except UrlNotAllowed:
            return _failed(FailedBecause.URL_NOT_ALLOWED), None
        if isinstance(to, FailedBecause):
            return _failed(to), None
        content = message.body(parcel)
        signer = parcel.endpoint or await self._endpoints.for_job_urls(parcel.delivery.tenant)
        headers = message.headers(parcel, signer.secrets(now_ms), now_ms=now_ms, content=content)
        answer = await self._sender.post(to, headers, content)
        settlement = _judge(parcel, answer)
        metrics.WEBHOOK_SECONDS.labels(settlement.state).observe(answer.seconds)
        kept = answer.text if self._keep_answers and answer.status else None
        return settlement, Try(now_ms, answer.status, round(answer.seconds * 1000), answer.error, kept)

    def _address(self, parcel: Parcel) -> Receiver | FailedBecause:
        """Where it goes, or why it goes nowhere. Raises UrlNotAllowed."""
        delivery, endpoint = parcel.delivery, parcel.endpoint
        if delivery.url:
            return receiver(delivery.url, self._policy)
        if endpoint is None:
            return FailedBecause.ENDPOINT_DELETED
        if endpoint.disabled_ms is not None and delivery.event is not None:
            return FailedBecause.ENDPOINT_DISABLED
        return receiver(endpoint.url, self._policy)

    async def _settle(self, parcel: Parcel, settlement: Settlement, made: Try | None) -> None:
        """Writes down what became of it, when Redis is back if it is away."""
        delivery = parcel.delivery
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                mine = await until_reachable(lambda: self._outbox.settle(delivery, settlement, made))
        except TimeoutError:
            mine = False
        if not mine:
            logger.warning("webhook_sent_by_another", delivery=delivery.id, effect="it may be delivered twice")
        elif settlement.reason:
            metrics.WEBHOOKS_FAILED.labels(settlement.reason).inc()
            logger.warning(
                "webhook_failed",
                delivery=delivery.id,
                tenant=delivery.tenant,
                host=delivery.host,
                reason=settlement.reason,
            )


def _judge(parcel: Parcel, answer: Answer) -> Settlement:
    """What an attempt comes to. Only 2xx counts; 410 says that nobody wants to hear of it any more."""
    delivery = parcel.delivery
    trial, own_url = delivery.event is None, bool(delivery.url)
    if answer.good:
        return Settlement(DeliveryState.DELIVERED, endpoint="enabled" if trial else "")
    if answer.status == 410:
        return _failed(FailedBecause.GONE, endpoint="" if own_url else "disabled")
    seconds = None if trial else pause(delivery.tries + 1, answer.retry_after)
    if seconds is None:
        return _failed(FailedBecause.EXHAUSTED)
    return Settlement(DeliveryState.PENDING, delay_seconds=seconds)


def _failed(reason: FailedBecause, *, endpoint: str = "") -> Settlement:
    return Settlement(DeliveryState.FAILED, reason, endpoint=endpoint)
