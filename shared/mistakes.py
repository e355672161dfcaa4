"""What can be wrong with settings, in words that say how to mend it, and never a secret among them."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from shared.sections import DEFAULT_MODEL, NAMED, SECTIONS, TABLES, Target

Place = tuple[str, ...]

_SECRET = {"url", "key_digests", "keys", "api_key_env"}
"""Where a secret is, or where somebody may put one by mistake: not even a number from there is shown."""
_LIMITS = ("requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute", "max_in_flight")


def contradictions(data: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """What no single field can tell, found in the raw settings: where it is, and what is wrong."""
    chains, targets = data.get("chains") or {}, data.get("targets") or {"default": {}}
    if isinstance(chains, dict) and isinstance(targets, dict):
        yield from _dangling(chains, targets)
    if isinstance(targets, dict):
        yield from _unequal_limits({name: one for name, one in targets.items() if isinstance(one, dict)})
    if isinstance(data.get("tenants"), dict):
        yield from _shared_keys(data["tenants"])


def _dangling(chains: dict[str, Any], targets: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Chains that name targets there are not, or one twice, and a missing default chain."""
    for name, chain in chains.items():
        named = chain.get("targets", []) if isinstance(chain, dict) else []
        known = [target for target in named if isinstance(target, str)] if isinstance(named, list) else []
        for target in known:
            if target not in targets:
                yield ("chains", name, "targets"), f"there is no target {target!r}; there is {', '.join(targets)}"
        if len(set(known)) < len(known):
            yield ("chains", name, "targets"), "a target stands twice; what it cannot serve once it cannot serve again"
    if chains and "default" not in chains:
        yield ("chains",), "there is no chain `default`; agents that name no chain use it"
    if not chains and len(targets) > 1:
        order = ", ".join(f'"{name}"' for name in targets)
        yield ("chains",), f"say in which order the targets are used: [chains.default] targets = [{order}]"


def _unequal_limits(targets: dict[str, dict[str, Any]]) -> Iterator[tuple[Place, str]]:
    """Targets of one pool share one gate, which has one set of limits."""
    firsts: dict[str, str] = {}
    for name, target in targets.items():
        pool = str(target.get("pool") or target.get("model") or DEFAULT_MODEL)
        other = firsts.setdefault(pool, name)
        own, others = _limits(target), _limits(targets[other])
        unequal = [
            f"{field} is {own[field]} here and {others[field]} there"
            for field in _LIMITS
            if own[field] != others[field]
        ]
        if unequal:
            yield (
                ("targets", name),
                f"shares the pool {pool} with targets.{other}, but {', '.join(unequal)}: "
                "give both the same limits, or, if the provider meters them apart, a `pool` of its own to each",
            )


def _limits(target: dict[str, Any]) -> dict[str, str]:
    """In words, since a variable's are not numbers yet."""
    return {field: str(target.get(field, Target.model_fields[field].default)) for field in _LIMITS}


def _shared_keys(tenants: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """A key must say who is asking, so it can belong to one tenant only."""
    found = [(place, digest) for name, tenant in tenants.items() for place, digest in _digests(name, tenant)]
    often = Counter(digest for _, digest in found)
    for place in dict.fromkeys(place for place, digest in found if often[digest] > 1):
        yield place, "a digest stands twice; give each tenant keys of its own"


def _digests(name: str, tenant: Any) -> Iterator[tuple[Place, str]]:
    """All that look like digests of keys in a tenant's raw settings, and where they are."""
    own = tenant if isinstance(tenant, dict) else {}
    listed, tables = own.get("key_digests"), own.get("keys")
    for digest in listed if isinstance(listed, list) else []:
        if isinstance(digest, str):
            yield ("tenants", name, "key_digests"), digest
    for key, table in tables.items() if isinstance(tables, dict) else ():
        digest = table.get("digest") if isinstance(table, dict) else None
        if isinstance(digest, str):
            yield ("tenants", name, "keys", key, "digest"), digest


def explain(found: ErrorDetails) -> str:
    """One mistake of a single field, in words; the value is shown only where it cannot be a secret."""
    path = [str(part) for part in found["loc"]]
    if found["type"] == "extra_forbidden":
        return f"there is no such setting{nearest(path[-1], _siblings(path))}"
    text = found["msg"].removeprefix("Value error, ")
    text = text[0].lower() + text[1:]
    if isinstance(found["input"], bool | int | float) and not _SECRET & set(path):
        text += f", not {found['input']!r}"
    if isinstance(found["input"], str) and found["type"] in ("list_type", "dict_type", "model_type"):
        text += '; in a variable lists and tables are JSON, such as ["a", "b"]'
    if path[-1] == "[key]":
        return text
    settable = path[:-1] if isinstance(found["loc"][-1], int) else path
    return f"{text} (also settable as SLUICE_{'__'.join(settable).upper()})"


def place(found: ErrorDetails) -> str:
    return ".".join(str(part) for part in found["loc"] if part != "[key]") or "settings"


def _siblings(path: list[str]) -> list[str]:
    """The names that would have been right where the last part of `path` is wrong."""
    if len(path) == 1:
        return list(SECTIONS)
    if len(path) == 5:  # [tenants.NAME.keys.NAME] key
        table = TABLES.get(path[0], {}).get(path[2])
        return list(table.model_fields) if table else []
    section = SECTIONS.get(path[0])
    inside = 3 if path[0] in NAMED else 2  # [targets.NAME] key, [queue] key
    return list(section.model_fields) if section and len(path) == inside else []


def nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""
