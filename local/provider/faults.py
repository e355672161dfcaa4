"""Faults on demand: by a step of a directive, or for all calls by `POST /_sim/faults`."""

import random
from collections import Counter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from local.provider.clock import Now
from local.provider.errors import ApiError, internal, overloaded, rate_limit, spend_limit

FaultKind = Literal["429", "529", "500", "drop", "drop_mid", "overload_mid", "slow", "malformed", "hang", "hang_mid"]
MID_STREAM = frozenset({"drop_mid", "overload_mid", "malformed", "hang_mid"})
SLOWER = 10
"""By how much the fault `slow` stretches latency and output."""


class Fault(BaseModel):
    """What goes wrong with a call."""

    model_config = ConfigDict(extra="forbid", strict=True)

    fault: FaultKind | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = 1
    """Whole seconds, for 429 only; null is a spend limit, which sends no retry-after."""
    probability: float = Field(default=1.0, ge=0, le=1)
    model: str | None = None
    """Only calls of this model; null is every model."""


class GlobalFault(Fault):
    """The body of `POST /_sim/faults`: for the next `count` calls, for `seconds`, or until it is replaced."""

    count: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)


class StepFault(Fault):
    """A fault of a directive: only the first `times` calls of a conversation at this step meet it."""

    times: int | None = Field(default=None, ge=1)


class Faults:
    """Decides which fault a call meets. `now` is a steady clock in seconds."""

    def __init__(self, seed: int, now: Now) -> None:
        self._now = now
        self._random = random.Random(seed)
        self._global = GlobalFault()
        self._left: int | None = None
        self._until: float | None = None
        self._met: Counter[tuple[str, int]] = Counter()

    def set(self, fault: GlobalFault) -> None:
        """Replace the fault for all calls; one without a kind ends it."""
        self._global = fault
        self._left = fault.count
        self._until = None if fault.seconds is None else self._now() + fault.seconds

    def clear(self) -> None:
        self.set(GlobalFault())
        self._met.clear()

    def pick(self, step_fault: StepFault, conversation: str, step: int, model: str) -> Fault | None:
        """The fault this call meets; the one for all calls goes first."""
        if self._meets_global(model):
            return self._global
        if self._meets_step(step_fault, conversation, step, model):
            return step_fault
        return None

    def _meets_global(self, model: str) -> bool:
        if self._left == 0 or (self._until is not None and self._now() >= self._until):
            return False
        if not self._strikes(self._global, model):
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def _meets_step(self, fault: StepFault, conversation: str, step: int, model: str) -> bool:
        if not self._strikes(fault, model):
            return False
        if fault.times is not None and self._met[conversation, step] >= fault.times:
            return False
        self._met[conversation, step] += 1
        return True

    def _strikes(self, fault: Fault, model: str) -> bool:
        if fault.fault is None or fault.model not in (None, model):
            return False
        return fault.probability == 1 or self._random.random() < fault.probability


def as_error(fault: Fault, stream: bool) -> ApiError | None:
    """The error answer that stands for the fault; None when it is no answer but a way of failing."""
    if fault.fault == "429" and fault.retry_after is None:
        return spend_limit()
    if fault.fault == "429":
        return rate_limit("This request would exceed your account's rate limit.", fault.retry_after)
    if fault.fault == "529" or (fault.fault == "overload_mid" and not stream):
        return overloaded()
    return internal() if fault.fault == "500" else None
