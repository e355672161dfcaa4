"""What can be written, and reading back what another version of this program may have written."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def build(kind: type[T], stored: Mapping[str, Any]) -> T:
    """A dataclass from its stored fields. Fields it does not know are left out: in a rolling deploy an older process
    reads what a newer one wrote."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in stored.items() if name in known})


def writable(text: str) -> str:
    """Half of a surrogate pair, which no store takes, becomes a question mark: Python has it in strange file names."""
    return text.encode("utf-8", "replace").decode()
