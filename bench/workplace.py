"""Where a run keeps its temporary files, and its end when somebody has had enough of it."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def workplace() -> Iterator[None]:
    """All temporary folders made meanwhile are in one, which goes at the end.

    A signal ends the process at once: measurements run in threads that wait for minutes. Every process that was
    started has a guard, which ends it then.
    """
    before = tempfile.tempdir
    folder = tempfile.mkdtemp(prefix="sluice-bench-")

    def stop(number: int, frame: FrameType | None) -> None:
        print("Stopped before the end; what was measured so far is in the rows.", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(128 + number)

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
        shutil.rmtree(folder, ignore_errors=True)
