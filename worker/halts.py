"""What stops a custom agent's function: for its author only `StepFailed`, all else for `worker.custom_loop`."""

from worker.budget import Limit


class Halted(BaseException):
    """The attempt is over; what the function does now counts for nothing."""


class StepFailed(Exception):
    """A step raised, took too long or returned what is no JSON. The same after a crash as at first."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"step {name!r} failed: {reason}")
        self.name = name
        self.reason = reason


class LimitReached(Exception):
    """The job's budget or deadline forbids another model call."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit.message)
        self.limit = limit


class PersonNeeded(Exception):
    """The job cannot go on before a person has said what became of a step (`Context.questions`)."""
