"""Buying a model call of a chain: of the first target that can serve, each through its own gate.

What a target says of itself (it fails, it has no room, it does not know this key or model, its pool takes no request
of this size) is a reason to ask the next. What the first target says of the request is the end: the job was written
for it. Of any other target that only means that it cannot stand in: no job fails for having been sent to a fallback.

When none can serve, the error with the shortest wait is raised: by it the job is parked. Only when none could ever
serve it is final, in the first target's words.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from shared import clock, log, metrics
from shared.chain_scores import ChainScores, Note
from shared.errors import NoRoomYet, RequestTooLarge, StoreUnavailable
from shared.pool import Asker
from shared.turn import BrokenRecord, ModelRecord, ServedAs, ToolCall, Transcript
from shared.usage import NANO
from worker.budget import OutOfBudget
from worker.chain import Chain
from worker.model_call import ModelCaller, TargetClient
from worker.provider import ModelRequest, ProviderBusy, ProviderDown, ProviderError, ProviderRefused

logger = log.get(__name__)

_OF_THE_TARGET = frozenset(
    {"authentication_error", "billing_error", "permission_error", "not_found_error"}
    | {"http_401", "http_402", "http_403", "http_404"}  # of gateways that name no type
)
"""Refusals of a key, an account or a model, not of the request."""
_NOTE_SECONDS = 1.0
_FOR_EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job's next model call, whoever serves it."""

    job_id: str
    asker: Asker
    turn: int
    last_target: str | None
    """Who served the job's turn before."""
    fits: Callable[[ToolCall], bool]
    """Whether a tool call of the model is one that can be run."""
    request: Callable[[TargetClient], Awaitable[ModelRequest]]
    """What this target is asked, before each attempt; raises OutOfBudget."""


class ChainCaller:
    """One for all jobs of a worker."""

    def __init__(self, caller: ModelCaller, scores: ChainScores) -> None:
        self._caller = caller
        self._scores = scores
        self._noted: dict[tuple[str, str], float] = {}

    async def call(
        self,
        chain: Chain,
        wanted: Wanted,
        on_text: Callable[[str], None],
        leaving: asyncio.Event,
        on_broken: Callable[[BrokenRecord], None] = lambda record: None,
    ) -> ModelRecord:
        """The turn's answer. Raises as `ModelCaller.call` does, and OutOfBudget.

        A target that is too dear for what is left of a limit only cannot stand in for another: who has no money for the
        one that is asked first is not sent to a cheaper one.
        """
        errors: dict[str, NoRoomYet | RequestTooLarge | ProviderError | OutOfBudget] = {}
        order = chain.order(wanted.job_id, wanted.last_target)
        for target in order:
            served_as = chain.served_as(target, wanted.job_id)
            try:
                record = await self._caller.call(
                    target,
                    wanted.asker,
                    wanted.turn,
                    partial(wanted.request, target),
                    on_text,
                    leaving,
                    or_else_after=None if target is order[-1] else chain.fallback_after_seconds,
                    on_broken=on_broken,
                )
            except (NoRoomYet, RequestTooLarge, ProviderError, OutOfBudget) as error:
                if isinstance(error, NoRoomYet) and leaving.is_set():
                    raise
                if isinstance(error, OutOfBudget):
                    if not errors:
                        raise
                    errors[target.name] = error  # says nothing of the target
                    continue
                if target is chain.first and _of_the_request(error):
                    raise
                note = Note(_outcome(error))
                await self._note(chain, target, served_as, note)
                say = logger.warning if isinstance(error, ProviderRefused) else logger.info  # that is for us to mend
                say("target_cannot_serve", chain=chain.name, target=target.name, outcome=note.outcome)
                errors[target.name] = error
                continue
            await self._note(chain, target, served_as, _note(record, wanted.fits))
            return replace(record, served_as=served_as)
        raise _most_hopeful(chain, errors)

    async def _note(self, chain: Chain, target: TargetClient, served_as: ServedAs, note: Note) -> None:
        """In the metrics, and for the chain's score. A score is no reason to fail a job."""
        names = (chain.name, target.name)
        metrics.CHAIN_CALLS.labels(*names, served_as, note.outcome).inc()
        if note.outcome == "ok":
            metrics.CHAIN_SECONDS.labels(*names, served_as).observe(note.milliseconds / 1000)
            metrics.CHAIN_COST.labels(*names, served_as).inc(note.cost_nano / NANO)
            metrics.CHAIN_TOOL_CALLS.labels(*names, "valid").inc(note.valid_tool_calls)
            metrics.CHAIN_TOOL_CALLS.labels(*names, "invalid").inc(note.tool_calls - note.valid_tool_calls)
        if len(chain.targets) > 1 and not self._spared(chain, target, note):
            with suppress(StoreUnavailable):
                await self._scores.note(chain.name, target.name, note)

    def _spared(self, chain: Chain, target: TargetClient, note: Note) -> bool:
        """Of the first target, which serves most, and of what cost no call, one note a second says enough."""
        if target is not chain.first and note.outcome != "no_room":
            return False
        names, now = (chain.name, target.name), clock.monotonic()
        if now < self._noted.get(names, -_FOR_EVER) + _NOTE_SECONDS:
            return True
        self._noted[names] = now
        return False


def _of_the_request(error: Exception) -> bool:
    """Whether the provider refuses what was asked, not who asks it."""
    return isinstance(error, ProviderRefused) and error.type not in _OF_THE_TARGET


def _outcome(error: NoRoomYet | RequestTooLarge | ProviderError) -> str:
    if isinstance(error, ProviderError):
        return error.type
    return "no_room" if isinstance(error, NoRoomYet) else "larger_than_its_pool"


def _note(record: ModelRecord, fits: Callable[[ToolCall], bool]) -> Note:
    calls = Transcript("", [record]).unanswered()
    return Note(
        outcome="ok",
        milliseconds=record.milliseconds,
        cost_nano=record.usage.cost_nano,
        tool_calls=len(calls),
        valid_tool_calls=sum(fits(call) for call in calls),
    )


def _wait(error: Exception) -> float:
    """After how many seconds the target may serve."""
    match error:
        case NoRoomYet():
            return error.seconds
        case OutOfBudget() if error.wait is not None:
            return error.wait
        case ProviderBusy() | ProviderDown():
            return error.retry_after or 0
        case _:
            return _FOR_EVER


def _most_hopeful(chain: Chain, errors: Mapping[str, Exception]) -> Exception:
    in_order = [errors[target.name] for target in chain.targets]
    return min(in_order, key=_wait)
