"""The errors of the shared rooms, as a tree: who is at fault, and is it worth trying again.

SluiceError
├── SettingsError        the operator: the process does not start; lists every mistake at once
├── StoreUnavailable     the weather: Redis did not answer in time; safe to repeat
├── LeaseLost            nobody: another worker owns the job now; stop, write nothing
├── Unheard              nobody: somebody has spoken to the job that was to end; go on, and hear it
├── RequestTooLarge      the caller: one model call larger than its whole budget per minute; never repeat
├── UrlNotAllowed        the caller: a webhook is not sent there; says why
├── NoRoomYet            the weather: a model call has waited long enough at the gate; try again later
└── RetriesSpent         the weather: a model call that failed is not to be repeated now, there were too many of late
"""


class SluiceError(Exception):
    """Everything this project raises on purpose."""


class SettingsError(SluiceError):
    """One or more mistakes in the settings, each a line that says what is wrong and how to mend it."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the settings:\n" + "\n".join(f"  - {line}" for line in mistakes))


class StoreUnavailable(SluiceError):
    """Redis refused, timed out or is not ready to serve; nothing is known about the last command."""


class LeaseLost(SluiceError):
    """The job is leased to another worker (or is finished): what this worker knows of it is out of date."""


class Unheard(SluiceError):
    """A job that was to succeed has messages that it has not heard: it is still this worker's, and is to go on."""


class RequestTooLarge(SluiceError):
    """A model call that needs more input tokens than its pool allows in a whole minute: it could never pass."""


class RetriesSpent(SluiceError):
    """A call of a pool of which more than a tenth of the calls have been retries of late."""


class UrlNotAllowed(SluiceError):
    """A URL that no webhook is sent to. The message goes on after its name: "must begin with https://"."""


class NoRoomYet(SluiceError):
    """A model call that did not pass the gate in time. `seconds` may go by until it would, and `outage` tells whether
    the provider fails or only has no budget left. `pool` is the name of the pool, once that is known."""

    def __init__(self, seconds: float, *, outage: bool) -> None:
        super().__init__("the provider fails" if outage else "the provider's budget is used up")
        self.seconds = seconds
        self.outage = outage
        self.pool = ""
