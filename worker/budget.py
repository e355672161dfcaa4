"""What a job may still use, asked in one place before each turn."""

from shared.job import Budget, IncompleteReason
from shared.usage import Usage


def exhausted(budget: Budget, used: Usage, *, turns: int, seconds: float) -> IncompleteReason | None:
    """Which limit forbids another turn, if any. `seconds` since the job's first start."""
    if budget.max_turns is not None and turns >= budget.max_turns:
        return IncompleteReason.MAX_TURNS
    if budget.max_tokens is not None and used.total_tokens >= budget.max_tokens:
        return IncompleteReason.BUDGET_EXCEEDED
    if budget.max_cost_nano is not None and used.cost_nano >= budget.max_cost_nano:
        return IncompleteReason.BUDGET_EXCEEDED
    if budget.max_seconds is not None and seconds >= budget.max_seconds:
        return IncompleteReason.DEADLINE_EXCEEDED
    return None


def output_allowance(budget: Budget, used: Usage, at_most: int) -> int:
    """How many tokens the next answer may have: the agent's own limit, or what is left of the job's tokens."""
    if budget.max_tokens is None:
        return at_most
    return max(1, min(at_most, budget.max_tokens - used.total_tokens))
