"""What a job may still use: which limit forbids another turn, and how long the next answer may be.

Pure. A call's worst case must fit what is left before it is made, so no limit in money or tokens is passed, except by
what the input of one call was underestimated (`worker.worst_case`).
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from shared.job import Budget, IncompleteReason
from shared.usage import Usage, dollars

LEAST_ANSWER = 100
"""Tokens: a tool call with a few arguments, or two sentences. Who cannot pay for that would pay for all the input of
another call, which is mostly the dearer part, to get a fragment."""


Price = Callable[[int, int], int]
"""Nano-dollars for so many tokens of input and of output."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that stops a job, and what there is to say of it."""

    reason: IncompleteReason
    message: str


class OutOfBudget(Exception):
    """What is left does not pay for another call. There will be more in `wait` seconds, None for never; or with
    `in_flight` as soon as other calls of the tenant turn out to cost less than was set aside for them."""

    def __init__(self, message: str, *, wait: float | None = None, in_flight: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.in_flight = in_flight


@dataclass(frozen=True, slots=True)
class NextCall:
    """A call at its worst: `input_tokens` at most and an answer of up to `longest` tokens. `price`
    never falls as tokens grow."""

    input_tokens: int
    longest: int
    price: Price

    def cost(self, answer: int) -> int:
        return self.price(self.input_tokens, answer)

    def tokens(self, answer: int) -> int:
        return self.input_tokens + answer

    def longest_within(self, *, nano: int | None = None, tokens: int | None = None) -> int:
        """The longest answer, in tokens, with which it costs `nano` and uses `tokens` at most; None is no limit, and
        below 0 is that not even its input fits."""
        longest = self.longest
        if tokens is not None:
            longest = min(longest, tokens - self.input_tokens)
        if nano is not None:
            longest = bisect_right(range(longest + 1), nano, key=self.cost) - 1
        return longest


def exhausted(budget: Budget, used: Usage, *, turns: int, seconds: float) -> Limit | None:
    """Which limit forbids another turn, if any. `seconds` since the job's first start."""
    if budget.max_turns is not None and turns >= budget.max_turns:
        return Limit(IncompleteReason.MAX_TURNS, f"It has had as many turns as it may: {budget.max_turns}.")
    if budget.max_tokens is not None and used.total_tokens >= budget.max_tokens:
        return Limit(
            IncompleteReason.BUDGET_EXCEEDED,
            f"It has used {used.total_tokens} tokens of the {budget.max_tokens} that it may use.",
        )
    if budget.max_cost_nano is not None and used.cost_nano >= budget.max_cost_nano:
        return Limit(
            IncompleteReason.BUDGET_EXCEEDED,
            f"It has cost {dollars(used.cost_nano)} dollars of the {dollars(budget.max_cost_nano)} that it may cost.",
        )
    if budget.max_seconds is not None and seconds >= budget.max_seconds:
        return Limit(
            IncompleteReason.DEADLINE_EXCEEDED, f"It has had as much time as it may: {budget.max_seconds} seconds."
        )
    return None


def fitting_answer(budget: Budget, used: Usage, call: NextCall) -> int:
    """How many tokens the next answer may have. Raises OutOfBudget when not even a useful one fits what is left."""
    least = min(LEAST_ANSWER, call.longest)
    longest = call.longest
    if budget.max_tokens is not None:
        left = budget.max_tokens - used.total_tokens
        longest = call.longest_within(tokens=left)
        if longest < least:
            raise OutOfBudget(
                f"The next call may use {call.tokens(least)} tokens even with a short answer, and {left} are left of "
                f"the {budget.max_tokens} that the job may use."
            )
    if budget.max_cost_nano is not None:
        left = budget.max_cost_nano - used.cost_nano
        longest = min(longest, call.longest_within(nano=left))
        if longest < least:
            raise OutOfBudget(
                f"The next call may cost {dollars(call.cost(least))} dollars even with a short answer, and "
                f"{dollars(left)} are left of the {dollars(budget.max_cost_nano)} that the job may cost."
            )
    return longest
