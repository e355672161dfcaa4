"""The Lua scripts, each one atomic transition, called by the names in their own headers.

A script's first comment names its KEYS and ARGV. From that header come both the Lua locals and the keyword
arguments of the call, so the order of arguments cannot drift apart between the two languages. A script that takes any
number of things of one kind names what there is of EACH: in Lua `each` is the list of them, by these names. It also
names the files it USES, which are put in front of it, and before those the names of `shared.keys` and `shared.job` in
them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from shared import clock, keys
from shared.events import MOST_EVENTS
from shared.job import SUSPECT_CRASHES
from shared.redis_client import Redis, reachable
from shared.states import FINISHED, TRANSITIONS
from shared.usage import USAGE_FIELDS

_FOLDER = Path(__file__).parent / "lua"
_NAMES = re.compile(r"^-- (USES|KEYS|ARGV|EACH)((?: [a-z_]+)*)$", re.MULTILINE)
_CONSTANT = re.compile(r"\b[A-Z][A-Z_]+\b")
_NUMBERS = re.compile(
    r"^local ([A-Z][A-Z_]*(?:, [A-Z][A-Z_]*)*) = ([A-Z_0-9.*/ -]+(?:, [A-Z_0-9.*/ -]+)*?)(?: *--.*)?$", re.M
)
Value = str | int | float


class Script:
    """One Lua file, ready to be called. Raises StoreUnavailable when Redis does not answer."""

    def __init__(self, name: str) -> None:
        body = _read(name)
        declared = {kind: names.split() for kind, names in _NAMES.findall(body)}
        self.name = name
        self.keys = tuple(declared["KEYS"])
        self.args = tuple(declared["ARGV"])
        self.each = tuple(declared.get("EACH", ()))
        self._names = set(self.keys), set(self.args)
        self._names_of_each = set(self.each)
        lines = [f"local {key} = KEYS[{i}]" for i, key in enumerate(self.keys, 1)]
        lines += [f"local {arg} = ARGV[{i}]" for i, arg in enumerate(self.args, 1)]
        lines += _rows(len(self.args), self.each) if self.each else []
        code = _inlined("\n".join([*map(_read, declared.get("USES", [])), body]))
        self.text = "\n".join([*lines, *_constants(code), code])
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self,
        redis: Redis,
        keys: Mapping[str, str],
        args: Mapping[str, Value] | None = None,
        each: Sequence[Mapping[str, Value]] = (),
    ) -> Any:
        """Runs the script. Keyword names must be exactly those of its header."""
        values = args or {}
        if keys.keys() != self._names[0] or values.keys() != self._names[1]:
            raise TypeError(f"{self.name} takes KEYS {self.keys} and ARGV {self.args}")
        ordered = [*map(keys.__getitem__, self.keys), *map(values.__getitem__, self.args)]
        for row in each:
            if row.keys() != self._names_of_each:
                raise TypeError(f"{self.name} takes EACH {self.each}")
            ordered += map(row.__getitem__, self.each)
        async with reachable():
            try:
                return await redis.evalsha(self.sha, len(self.keys), *ordered)
            except NoScriptError:  # a new server, or one that was restarted
                return await redis.eval(self.text, len(self.keys), *ordered)


@cache
def script(name: str) -> Script:
    return Script(name)


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text("utf-8")


def _rows(before: int, names: Sequence[str]) -> list[str]:
    """Lua for `each`, of what comes after so many arguments."""
    row = ", ".join(f"{name} = ARGV[at + {i}]" for i, name in enumerate(names, 1))
    return ["local each = {}", f"for at = {before}, #ARGV - 1, {len(names)} do each[#each + 1] = {{{row}}} end"]


def _constants(code: str) -> Iterator[str]:
    """Lua locals for the constants that the code mentions: only those, since each call makes them anew."""
    known = _lua_constants()
    return (f"local {name} = {known[name]}" for name in sorted(set(_CONSTANT.findall(code)) & known.keys()))


def _inlined(code: str) -> str:
    """The code with its numbers in place of their names: each local that functions share costs time in every call."""
    values: dict[str, str] = {}
    for names, numbers in _NUMBERS.findall(code):
        for name, number in zip(names.split(", "), numbers.split(", "), strict=True):
            if name in values:
                raise ValueError(f"{name} is defined twice")
            values[name] = _CONSTANT.sub(lambda found: values.get(found[0], found[0]), f"({number})")
    return _CONSTANT.sub(lambda found: values.get(found[0], found[0]), _NUMBERS.sub("", code))


@cache
def _lua_constants() -> dict[str, str]:
    """Every key of `shared.keys`, the table of states, and what else both languages must agree on."""
    names = {name: f"'{value}'" for name, value in vars(keys).items() if name.isupper()}
    rows = [
        f"{status} = {{" + ", ".join(f"{event} = '{to}'" for event, to in row.items()) + "}"
        for status, row in TRANSITIONS.items()
    ]
    return names | {
        "DAY_MS": str(clock.DAY_MS),
        "MOST_EVENTS": str(MOST_EVENTS),
        "SUSPECT_CRASHES": str(SUSPECT_CRASHES),
        "NEXT": "{" + ", ".join(rows) + "}",
        "USAGE_FIELDS": "{" + ", ".join(f"'{name}'" for name in USAGE_FIELDS) + "}",
        "FINISHED": "{" + ", ".join(f"{status} = true" for status in sorted(FINISHED)) + "}",
    }
