"""One call of `context.step`, and how to find out what became of one whose receipt is missing.

What is asked, and of whom, is as with tools (`worker.next_step`): its `verify` first, then a person.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from shared.action import ActionKind, Decision, DecisionRecord
from shared.step import Mark, StepIntentRecord, StepRecord
from shared.turn import ToolCall
from worker import foreign
from worker.next_step import Question
from worker.step_runner import StepOutcome, as_kept
from worker.tools import Effect

StepVerify = Callable[..., Any]
"""Whether the step with this `idempotency_key`, given by that name, has happened. False: it has not, and will not any
more. None: nobody can tell. Anything else: it has, and that is what the step returns."""

LONGEST_SHOWN = 4_000
"""Characters of one argument, as JSON, that a person is shown."""


@dataclass(frozen=True, slots=True)
class StepCall:
    """`key` is its idempotency key, `seconds` the time it may take."""

    mark: Mark
    function: "partial[Any]"
    effect: Effect
    seconds: float
    verify: StepVerify | None
    key: str

    def __post_init__(self) -> None:
        if self.verify is not None and self.effect.repeatable:
            raise TypeError(
                f"step {self.mark}: verify is for what must not run twice; {self.effect} steps simply run again"
            )

    def intent(self, turn: int) -> StepIntentRecord:
        return StepIntentRecord(turn, self.mark, self.key)

    def receipt(self, turn: int, outcome: StepOutcome) -> StepRecord:
        return StepRecord(turn, self.mark, outcome.result, outcome.error, outcome.milliseconds, self.key)

    async def after_death(self, turn: int) -> StepOutcome | Question | None:
        """What is known of it when it was begun and its worker has died; None: it has not happened, and may run."""
        said = await self._verified()
        if said is None:
            return self._question(turn, "The process that ran it stopped before it could report.")
        return None if said is False else StepOutcome(said)

    async def after_lateness(self, turn: int, late: StepOutcome) -> StepOutcome | Question:
        """The same of one that did not end in time. A thread cannot be stopped: what it has not done it may yet do."""
        said = await self._verified()
        if said is None or (said is False and not foreign.is_async(self.function)):
            return self._question(turn, f"Out of time: {late.error}.")
        if said is False:
            return replace(late, error=f"{late.error}; it was stopped, and has not happened")
        return StepOutcome(said, milliseconds=late.milliseconds)

    async def _verified(self) -> Any:
        """What `verify` says, as the journal keeps it."""
        if self.verify is None:
            return None
        verify, given = self.verify, {"idempotency_key": self.key}
        said = await foreign.ask(verify, given, self.seconds, about=self.mark.name)
        try:
            return as_kept(said)
        except TypeError:
            foreign.logger.warning("verify_returned_no_json", about=self.mark.name)
            return None

    def _question(self, turn: int, note: str) -> Question:
        call = ToolCall(turn, self.mark.id, self.mark.name, self._shown(), started=True)
        advice = "If it has happened, say as `result` what it returned."
        return Question(call, ActionKind.OUTCOME, f"{note} Its idempotency key is {self.key}. {advice}", self.effect)

    def _shown(self) -> dict[str, Any]:
        """Its arguments by their names, as far as they are JSON and not too long."""
        function, given = self.function.func, self.function
        try:
            named: Mapping[str, Any] = inspect.signature(function).bind(*given.args, **given.keywords).arguments
        except (TypeError, ValueError):  # some builtins tell no names
            named = {"args": list(given.args), **given.keywords}
        return {name: _shown(value) for name, value in named.items()}


def decided(decision: DecisionRecord) -> StepOutcome | None:
    """What follows from what a person has said; None: it may run."""
    match decision.decision:
        case Decision.DONE:
            return StepOutcome(decision.result)
        case Decision.EXPIRED:
            return StepOutcome(
                error="its outcome is unknown: it was begun, and nobody has said in time whether it happened. It was "
                "not run again. Have a person check before anything is repeated"
            )
    return None


def _shown(value: Any) -> Any:
    try:
        kept = as_kept(value)
    except TypeError:
        return f"<{type(value).__qualname__}>"
    text = json.dumps(kept, ensure_ascii=False)
    return kept if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… [cut off here]"
