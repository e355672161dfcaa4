"""Ctrl-C and SIGTERM as something to ask for, not as an exception out of nowhere."""

import signal
import time
from types import FrameType, TracebackType
from typing import Self

_STEP_SECONDS = 0.05


class Interrupted(Exception):
    """The user wants to stop."""


class Interrupt:
    """Counts the signals while it is entered: the first one asks to stop, the next one to hurry."""

    def __init__(self) -> None:
        self.count = 0

    def sleep(self, seconds: float) -> None:
        """Ends early at a signal."""
        until = time.monotonic() + seconds
        seen = self.count
        while self.count == seen and (left := until - time.monotonic()) > 0:
            time.sleep(min(_STEP_SECONDS, left))

    def check(self) -> None:
        """Raises Interrupted once there was a signal."""
        if self.count:
            raise Interrupted

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
