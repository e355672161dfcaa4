"""The Lua scripts, each one atomic transition, called by the names in their own headers.

A script's first comment names its KEYS and ARGV. From that header come both the Lua locals and the keyword
arguments of the call, so the order of arguments cannot drift apart between the two languages. A script that takes any
number of things of one kind names what there is of EACH: in Lua `each` is the list of them, by these names. It also
names the files it USES, which are put in front of it, and before those the names of `shared.keys` and `shared.job` in
them.

Scripts that share much and are called often are the functions of a LIBRARY (Redis 7): the server keeps it, so that what
they share is made once and not in every call.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from shared import clock, keys
from shared.errors import StoreUnavailable
from shared.events import MOST_EVENTS
from shared.job import SUSPECT_CRASHES
from shared.redis_client import Redis, reachable
from shared.states import FINISHED, TRANSITIONS
from shared.usage import USAGE_FIELDS

_ANY_VERSION = "ANY_VERSION"
_FOLDER = Path(__file__).parent / "lua"
_NAMES = re.compile(r"^-- (LIBRARY|USES|KEYS|ARGV|EACH)((?: [a-z_]+)*)$", re.MULTILINE)
_CONSTANT = re.compile(r"\b[A-Z][A-Z_]+\b")
_NUMBERS = re.compile(
    r"^local ([A-Z][A-Z_]*(?:, [A-Z][A-Z_]*)*) = ([A-Z_0-9.*/ -]+(?:, [A-Z_0-9.*/ -]+)*?)(?: *--.*)?$", re.M
)
Value = str | int | float


class Script:
    """One Lua file, ready to be called. Raises StoreUnavailable when Redis does not answer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._body = _read(name)
        self._header = _declared(self._body)
        self.keys = tuple(self._header["KEYS"])
        self.args = tuple(self._header["ARGV"])
        self.each = tuple(self._header.get("EACH", ()))
        self._names = set(self.keys), set(self.args)
        self._names_of_each = set(self.each)
        self.text = self._text()
        self.sha = _digest(self.text)

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
            return await self._run(redis, ordered)

    async def _run(self, redis: Redis, ordered: Sequence[Value]) -> Any:
        try:
            return await redis.evalsha(self.sha, len(self.keys), *ordered)
        except NoScriptError:  # a new server, or one that was restarted
            return await redis.eval(self.text, len(self.keys), *ordered)

    def _text(self) -> str:
        lines = [f"local {line}" for line in _named(self._header)]
        lines += _rows(len(self.args), self.each) if self.each else []
        code = _inlined("\n".join([*map(_read, self._header.get("USES", ())), self._body]))
        return "\n".join([*lines, *_constants(code), code])


class Function(Script):
    """One Lua file that is a function of a library. What the files that it uses keep for one call only is set anew by
    their `open_…`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._called = f"{name}_{_version(self.text)}"

    async def _run(self, redis: Redis, ordered: Sequence[Value]) -> Any:
        try:
            return await redis.fcall(self._called, len(self.keys), *ordered)
        except ResponseError as error:  # a new server, or one that knows another version only
            if "unknown command" in str(error):
                raise StoreUnavailable("Redis is too old: it has to be 7.0 or newer") from error
            if "Function not found" not in str(error):
                raise
        await redis.function_load(self.text, replace=True)
        return await redis.fcall(self._called, len(self.keys), *ordered)

    def _text(self) -> str:
        return _library(*self._header["LIBRARY"])


@cache
def script(name: str) -> Script:
    return (Function if "LIBRARY" in _declared(_read(name)) else Script)(name)


@cache
def _library(name: str) -> str:
    """All functions of it. Its name and theirs tell its version, so that two stand side by side during a deploy."""
    files = {path.stem: _read(path.stem) for path in sorted(_FOLDER.glob(f"{name}_*.lua"))}
    headers = {file: header for file, text in files.items() if (header := _declared(text)).get("LIBRARY") == [name]}
    parts = dict.fromkeys(part for header in headers.values() for part in header["USES"])
    names = list(dict.fromkeys(each for header in headers.values() for each in (*header["KEYS"], *header["ARGV"])))
    registered = (_registered(file, files[file], header, names) for file, header in headers.items())
    code = _inlined("\n".join([f"local {', '.join(names)}", *map(_read, parts), *registered]))
    text = "\n".join([f"#!lua name=sluice_{name}_{_ANY_VERSION}", *_constants(code), code])
    return text.replace(_ANY_VERSION, _digest(text)[:12])


def _registered(name: str, body: str, header: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """Lua that makes a function of it. Of the library's names those that it does not take are nothing."""
    unset = [each for each in names if each not in header["KEYS"] and each not in header["ARGV"]]
    opened = re.findall(r"^local function (open_\w+)", "\n".join(map(_read, header["USES"])), re.M)
    first, last = f"redis.register_function('{name}_{_ANY_VERSION}', function(KEYS, ARGV)", "end)"
    set_anew = [*_named(header), *(f"{each} = nil" for each in unset), *(f"{each}()" for each in opened)]
    return "\n".join([first, *set_anew, body, last])


def _version(library: str) -> str:
    return library.splitlines()[0].rpartition("_")[2]


def _digest(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()


def _declared(text: str) -> dict[str, list[str]]:
    """The names in the header, by their kind."""
    return {kind: names.split() for kind, names in _NAMES.findall(text)}


def _named(header: Mapping[str, Sequence[str]]) -> list[str]:
    """Lua that gives keys and arguments the names of the header."""
    return [f"{name} = {kind}[{i}]" for kind in ("KEYS", "ARGV") for i, name in enumerate(header[kind], 1)]


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
