"""The folder with the jobs of a stack: one stack at a time may write there."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.stack import StackError


@contextmanager
def data_folder(folder: Path) -> Iterator[None]:
    """Makes the folder and holds it. Raises StackError when another stack has it. The system lets go of it when this
    process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(f"Another stack is up on {folder}: stop that one first.") from error
        yield
