"""RESULTS.md: one document whose sections belong to different commands, each of which replaces only its own."""

import re
from pathlib import Path

PATH = Path(__file__).parent / "RESULTS.md"

_TITLE = "# Results\n\nMade by `make bench`; how it measures is in [README.md](README.md).\n"
_NAME = re.compile(r"[a-z][a-z-]*")


def write_section(name: str, text: str, path: Path = PATH) -> None:
    """Replaces the section, or appends it when the document has none of that name yet."""
    before = path.read_text("utf-8") if path.exists() else _TITLE
    path.write_text(replaced(before, name, text), "utf-8")


def replaced(document: str, name: str, text: str) -> str:
    """The document with this text between the section's markers. Raises ValueError for markers out of order."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} names no section")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin not in document and end not in document:
        return f"{document.rstrip()}\n\n{section}\n"
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise ValueError(f"the section {name!r} is not between one {begin} and one {end}")
    head, _, rest = document.partition(begin)
    return head + section + rest.partition(end)[2]
