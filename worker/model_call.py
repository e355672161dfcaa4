"""One model call as an agent sees it: through the gate, priced, and tried again while that can help.

Every attempt passes the gate anew and is settled with what it really used. tenacity spaces the attempts: exponential
with full jitter, never earlier than the provider's `retry-after`. What is final at once is not tried again.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from shared import backoff, clock, log, metrics
from shared.errors import NoRoomYet, RetriesSpent
from shared.gate import Gate
from shared.pool import Asker, Call, Pool, Reservation, Spent, Used
from shared.turn import BrokenRecord, ModelRecord
from shared.usage import NANO, Usage
from worker.pricing import cost_nano
from worker.provider import (
    Answer,
    ModelRequest,
    Provider,
    ProviderBusy,
    ProviderDown,
    ProviderError,
    weighed,
)

logger = log.get(__name__)

ATTEMPTS = 5
CANCELLED = "cancelled"
"""Why an answer broke off that nobody waits for any more."""
_LONGEST_PAUSE_IN_SLOT_SECONDS = 30.0
_A_MOMENT_SECONDS = 1.0
"""For how long a limit holds that was met in mid-answer, where no time is named."""
_FULL_JITTER = wait_random_exponential(multiplier=0.5, max=20)


@dataclass(frozen=True, slots=True)
class TargetClient:
    """A target as calls need it: its pool at the gate and its provider."""

    name: str
    provider_name: str
    model: str
    pool: Pool
    provider: Provider


class ModelCaller:
    """Buys model calls. One for all jobs of a worker. A call waits `patience` seconds at the gate at most."""

    def __init__(self, gate: Gate, patience: float) -> None:
        self._gate = gate
        self._patience = patience

    async def call(
        self,
        target: TargetClient,
        asker: Asker,
        turn: int,
        asked: Callable[[], Awaitable[ModelRequest]],
        on_text: Callable[[str], None],
        leaving: asyncio.Event | None = None,
        *,
        or_else_after: float | None = None,
        on_broken: Callable[[BrokenRecord], None] = lambda record: None,
    ) -> ModelRecord:
        """The turn's answer. Raises ProviderError when the attempts are used up, NoRoomYet when the gate lets it wait
        for too long or `leaving` is set meanwhile, RequestTooLarge at once, and what `asked` raises.

        `asked` tells what is asked, before each attempt: what broke off was paid for, so there may be less to spend.
        With somebody else to ask `or_else_after` is how long it waits, in seconds; in an outage then not at all.
        `on_broken` is called when an answer ends early of which text may have been handed on, with what it cost.
        """
        sooner = math.inf if or_else_after is None else or_else_after
        patience, longest = min(self._patience, sooner), min(_LONGEST_PAUSE_IN_SLOT_SECONDS, sooner)
        place, lost = "", None
        attempts = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            retry=retry_if_exception(partial(_worth_waiting_for, longest=longest)),
            before_sleep=_say,
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    request = await asked()
                    call = Call(asker, _characters(request), request.max_tokens, turn, place)
                    reservation = await self._pass_gate(target.pool, call, patience, leaving, or_else_after is None)
                    place = reservation.place  # a refusal loses no place in line
                    try:
                        return await self._attempt(target, reservation, request, on_text, on_broken)
                    except ProviderError as error:
                        lost = error
                        raise
        except RetriesSpent:
            if lost is not None:
                raise lost from None
            raise
        raise AssertionError("tenacity ends by returning or raising")

    async def _attempt(
        self,
        target: TargetClient,
        reservation: Reservation,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_broken: Callable[[BrokenRecord], None],
    ) -> ModelRecord:
        started, heard = clock.monotonic(), _Heard()
        outcome, lost = CANCELLED, Spent()
        try:
            answer = await target.provider.stream(
                request, on_text, lambda headroom: self._gate.observe(reservation, headroom), heard
            )
            outcome = "ok"
        except ProviderError as error:
            error.pool = target.pool.name
            outcome, lost = error.type, _lost(error)
            heard.began = heard.began or error.began
            raise
        finally:
            metrics.CALL_SECONDS.labels(target.name, outcome).observe(clock.monotonic() - started)
            if outcome != "ok":
                if heard.began:
                    on_broken(_broken(target, reservation.call, heard.usage, outcome))
                await self._gate.settle(reservation, lost)
        self._gate.answered(reservation, Used(1, answer.usage.counted_input_tokens, answer.usage.output_tokens))
        return _record(target, reservation.call, answer, clock.monotonic() - started)

    async def _pass_gate(
        self, pool: Pool, call: Call, patience: float, leaving: asyncio.Event | None, in_outage: bool
    ) -> Reservation:
        started = clock.monotonic()
        try:
            reservation = await self._gate.reserve(pool, call, patience, leaving, in_outage)
        except NoRoomYet as error:
            error.pool = pool.name
            raise
        metrics.GATE_SECONDS.labels(pool.name).observe(clock.monotonic() - started)
        return reservation


class _Heard:
    """What an answer has told of its own cost so far."""

    def __init__(self) -> None:
        self.began = False
        self.usage = Usage()

    def __call__(self, usage: Usage) -> None:
        self.began, self.usage = True, usage


def _characters(request: ModelRequest) -> int:
    """The size of a request, from which its tokens are estimated."""
    return len(request.system) + len(json.dumps([weighed(request.messages), request.tools], ensure_ascii=False))


def _lost(error: ProviderError) -> Spent:
    """What an attempt without an answer cost: nobody knows when it had begun."""
    match error:
        case ProviderBusy():
            outcome = "busy"
        case ProviderDown():
            outcome = "down"
        case _:
            outcome = ""
    used, retry_after = (None, error.retry_after or _A_MOMENT_SECONDS) if error.began else (Used(), error.retry_after)
    return Spent(outcome, used, headroom=error.headroom, retry_after=retry_after)


def _priced(target: TargetClient, call: Call, model: str, tokens: Usage) -> Usage:
    """One call's tokens with what they cost, as the metrics count them, too."""
    usage: Usage = replace(tokens, model_calls=1, cost_nano=cost_nano(target.provider_name, model, tokens))
    for kind in ("input", "cache_creation_input", "cache_read_input", "output"):
        metrics.TOKENS.labels(target.name, kind).inc(getattr(usage, f"{kind}_tokens"))
    metrics.COST.labels(target.name, call.asker.agent).inc(usage.cost_nano / NANO)
    return usage


def _broken(target: TargetClient, call: Call, tokens: Usage, why: str) -> BrokenRecord:
    return BrokenRecord(call.turn, _priced(target, call, target.model, tokens), target.name, target.model, why)


def _record(target: TargetClient, call: Call, answer: Answer, seconds: float) -> ModelRecord:
    return ModelRecord(
        turn=call.turn,
        content=answer.content,
        stop_reason=answer.stop_reason,
        usage=replace(_priced(target, call, answer.model, answer.usage), turns=1),
        target=target.name,
        model=answer.model,
        request_id=answer.request_id,
        milliseconds=int(seconds * 1000),
    )


def _worth_waiting_for(error: BaseException, longest: float) -> bool:
    """What may pass soon; who is asked to stay away for long does not hold a slot meanwhile."""
    if not isinstance(error, ProviderBusy | ProviderDown):
        return False
    return error.retry_after is None or error.retry_after <= longest


def _pause(state: RetryCallState) -> float:
    """After a 429 the call goes back to its place in line at once: the gate knows when there is room again."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ProviderBusy):
        return 0
    asked = error.retry_after if isinstance(error, ProviderError) else None
    return backoff.spread(asked) if asked is not None else _FULL_JITTER(state)


def _say(state: RetryCallState) -> None:
    error: Any = state.outcome.exception() if state.outcome else None
    logger.info("model_call_repeated", attempt=state.attempt_number, error=error.type, request_id=error.request_id)
