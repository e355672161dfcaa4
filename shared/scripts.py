"""The Lua scripts, each one atomic transition, called by the names in their own headers.

A script's first comment names its KEYS and ARGV. From that header come both the Lua locals and the keyword
arguments of the call, so the order of arguments cannot drift apart between the two languages.
"""

import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from shared import keys
from shared.job import FINISHED, SUSPECT_CRASHES, TRANSITIONS
from shared.redis_client import Redis, reachable

_FOLDER = Path(__file__).parent / "lua"
_NAMES = re.compile(r"^-- (KEYS|ARGV)((?: [a-z_]+)*)$", re.MULTILINE)

Value = str | int | float


class Script:
    """One Lua file, ready to be called. Raises StoreUnavailable when Redis does not answer."""

    def __init__(self, name: str) -> None:
        body = (_FOLDER / f"{name}.lua").read_text("utf-8")
        declared = {kind: names.split() for kind, names in _NAMES.findall(body)}
        self.name = name
        self.keys = tuple(declared["KEYS"])
        self.args = tuple(declared["ARGV"])
        lines = [f"local {key} = KEYS[{i}]" for i, key in enumerate(self.keys, 1)]
        lines += [f"local {arg} = ARGV[{i}]" for i, arg in enumerate(self.args, 1)]
        self.text = "\n".join([*lines, _shared_part(name), body])
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Redis, keys: Mapping[str, str], args: Mapping[str, Value] | None = None) -> Any:
        """Runs the script. Keyword names must be exactly those of its header."""
        values = args or {}
        if set(keys) != set(self.keys) or set(values) != set(self.args):
            raise TypeError(f"{self.name} takes KEYS {self.keys} and ARGV {self.args}")
        ordered: list[Value] = [*(keys[key] for key in self.keys), *(values[arg] for arg in self.args)]
        async with reachable():
            try:
                return await redis.evalsha(self.sha, len(self.keys), *ordered)
            except NoScriptError:  # a new server, or one that was restarted
                return await redis.eval(self.text, len(self.keys), *ordered)


@cache
def script(name: str) -> Script:
    return Script(name)


def _shared_part(name: str) -> str:
    """What the scripts of one family (the first word of the name) share; some families share nothing."""
    family = name.split("_")[0]
    common = _FOLDER / f"{family}_common.lua"
    if not common.exists():
        return ""
    return (_job_constants() if family == "job" else "") + common.read_text("utf-8")


def _job_constants() -> str:
    names = (
        "JOB",
        "TURNS",
        "NOTES",
        "RETURNING",
        "ALIVE",
        "ARQ_JOB",
        "ARQ_IN_PROGRESS",
        "ARQ_RESULT",
        "ARQ_RETRY",
        "CHANGES",
        "CONTROL",
    )
    lines = [f"local {name} = '{getattr(keys, name)}'" for name in names]
    rows = [
        f"{status} = {{" + ", ".join(f"{event} = '{to}'" for event, to in row.items()) + "}"
        for status, row in TRANSITIONS.items()
    ]
    finished = ", ".join(f"{status} = true" for status in sorted(FINISHED))
    lines.append(f"local SUSPECT_CRASHES = {SUSPECT_CRASHES}")
    lines.append("local NEXT = {" + ", ".join(rows) + "}")
    lines.append(f"local FINISHED = {{{finished}}}")
    return "\n".join(lines) + "\n"
