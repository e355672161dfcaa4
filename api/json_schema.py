"""As much of JSON Schema (2020-12) as pydantic writes for a model, to tell a caller at once what is wrong.

What is not known here lets everything pass: the worker checks again, with the model itself. So no library is needed
that brings half a dozen others along, and no pattern of an agent's author can keep the ingress busy.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

Complaint = tuple[str, str]
"""Where, as a JSON pointer (RFC 6901) into the value, and what."""
Schema = Mapping[str, Any]

_MOST_NAMED = 20
"""Mistakes in one input that a caller is told."""
_DEEPEST = 64
"""How many schemas within each other are looked at: a `$ref` may lead to itself."""
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def first_complaints(value: Any, schema: Schema) -> list[Complaint]:
    """As many of them as are named to a caller."""
    return list(islice(complaints(value, schema), _MOST_NAMED))


def complaints(value: Any, schema: Schema) -> Iterator[Complaint]:
    """What is wrong with the value, one after the other."""
    return _check(value, schema, schema, "", _DEEPEST)


def _check(value: Any, schema: Any, root: Schema, at: str, deep: int) -> Iterator[Complaint]:
    if not isinstance(schema, Mapping) or not deep:
        return
    for name, one in schema.items():
        if name == "$ref":
            yield from _check(value, _target(one, root), root, at, deep - 1)
        elif name == "allOf":
            for part in one:
                yield from _check(value, part, root, at, deep - 1)
        elif name in ("anyOf", "oneOf"):
            yield from _check_any(value, one, root, at, deep)
        elif name in _CHECKS and (said := _CHECKS[name](value, one)):
            yield at, said
    if isinstance(value, dict):
        yield from _check_object(value, schema, root, at, deep)
    elif isinstance(value, list):
        yield from _check_array(value, schema, root, at, deep)


def _check_any(value: Any, schemas: list[Any], root: Schema, at: str, deep: int) -> Iterator[Complaint]:
    """The complaints of the schema that comes nearest: whose first complaint is furthest inside."""
    found = [list(_check(value, one, root, at, deep - 1)) for one in schemas]
    if found and all(found):
        yield from max(found, key=lambda some: some[0][0].count("/"))


def _check_object(value: dict[str, Any], schema: Schema, root: Schema, at: str, deep: int) -> Iterator[Complaint]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield at, f"lacks {json.dumps(name)}"
    for name, item in value.items():
        where = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
        if name in properties:
            yield from _check(item, properties[name], root, where, deep - 1)
        elif others is False:
            yield where, "there is no such field"
        else:
            yield from _check(item, others, root, where, deep - 1)


def _check_array(value: list[Any], schema: Schema, root: Schema, at: str, deep: int) -> Iterator[Complaint]:
    first = schema.get("prefixItems", [])
    for number, item in enumerate(value):
        one = first[number] if number < len(first) else schema.get("items")
        yield from _check(item, one, root, f"{at}/{number}", deep - 1)


def _target(reference: str, root: Schema) -> Any:
    """What `#/$defs/NAME` names; nothing else is followed."""
    return root.get("$defs", {}).get(reference.removeprefix("#/$defs/"))


def _of_type(value: Any, wanted: Any) -> str | None:
    names = wanted if isinstance(wanted, list) else [wanted]
    if any(_is_a(value, name) for name in names):
        return None
    return f"must be {' or '.join(names)}"


def _is_a(value: Any, name: str) -> bool:
    if isinstance(value, bool):  # which Python takes for a number
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return name not in _TYPES or isinstance(value, _TYPES[name])


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(value: Any, one: Any) -> bool:
    return bool(value == one) and isinstance(value, bool) == isinstance(one, bool)


def _shown(values: list[Any]) -> str:
    return ", ".join(json.dumps(one, ensure_ascii=False) for one in values)


def _if(wrong: bool, said: str) -> str | None:
    return said if wrong else None


_CHECKS: dict[str, Callable[[Any, Any], str | None]] = {
    "type": _of_type,
    "const": lambda value, one: _if(not _same(value, one), f"must be {_shown([one])}"),
    "enum": lambda value, all: _if(not any(_same(value, one) for one in all), f"must be one of {_shown(all)}"),
    "minimum": lambda value, least: _if(_number(value) and value < least, f"must be at least {least}"),
    "maximum": lambda value, most: _if(_number(value) and value > most, f"must be at most {most}"),
    "exclusiveMinimum": lambda value, end: _if(_number(value) and value <= end, f"must be more than {end}"),
    "exclusiveMaximum": lambda value, end: _if(_number(value) and value >= end, f"must be less than {end}"),
    "minLength": lambda value, n: _if(isinstance(value, str) and len(value) < n, f"must have {n} characters or more"),
    "maxLength": lambda value, n: _if(isinstance(value, str) and len(value) > n, f"must have {n} characters at most"),
    "minItems": lambda value, n: _if(isinstance(value, list) and len(value) < n, f"must have {n} items or more"),
    "maxItems": lambda value, n: _if(isinstance(value, list) and len(value) > n, f"must have {n} items at most"),
}
