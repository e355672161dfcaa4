"""Inputs that are valid for a tool's JSON schema, and plausible for what the user asked."""

import math
import random
import re
from typing import Any

Schema = dict[str, Any]

_ARITHMETIC = re.compile(r"[(\d][\d\s.()]*(?:[-+*/][\d\s.()]+)+")
_IDENTIFIER = re.compile(r"\b(?:[A-Z]{2,}[-_]?\d+|[a-z]+[-_]\d+|\d{2,}(?:-\d+)*)\b")
_BY_FORMAT = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_MAX_DEPTH = 8


class Arguments:
    """Makes inputs for one tool call: the same question and salt always give the same input."""

    def __init__(self, question: str, salt: str) -> None:
        self._question = question
        self._random = random.Random(salt)

    def for_tool(self, schema: Schema) -> dict[str, Any]:
        """An object with every required property, and the optional ones that have examples."""
        return self._object(schema, schema, 0)

    def _value(self, name: str, schema: Schema, root: Schema, depth: int) -> Any:
        schema = _resolve(schema, root)
        if depth > _MAX_DEPTH:
            return None
        for given in (_given(schema), *map(_given, schema.get("anyOf", []))):
            if given:
                return self._random.choice(given)
        match _type(schema):
            case "object":
                return self._object(schema, root, depth)
            case "array":
                items = schema.get("items") or {}
                return [self._value(name, items, root, depth + 1) for _ in range(schema.get("minItems", 1))]
            case "integer" | "number":
                return self._number(schema)
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
        return self._string(name, schema)

    def _object(self, schema: Schema, root: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        return {
            name: self._value(name, properties.get(name, {}), root, depth + 1)
            for name in (*required, *(name for name in properties if name not in required))
            if name in required or "examples" in properties[name]
        }

    def _number(self, schema: Schema) -> int | float:
        low, high = _bounds(schema)
        if math.ceil(low) > math.floor(high):
            return (low + high) / 2
        return self._random.randint(math.ceil(low), math.floor(high))

    def _string(self, name: str, schema: Schema) -> str:
        text = _BY_FORMAT.get(schema.get("format", "")) or self._named(name.lower())
        text = text[: schema.get("maxLength", len(text))]
        return text.ljust(schema.get("minLength", 0), "x")

    def _named(self, name: str) -> str:
        """A text for a field of this name."""
        if any(word in name for word in ("expression", "formula", "calculation")):
            return self._arithmetic()
        if "zone" in name or name == "tz":
            return "UTC"
        if name in ("id", "number", "key") or name.endswith(("_id", "_number")):
            found = _IDENTIFIER.findall(self._question)
            return str(self._random.choice(found)) if found else "1001"
        words = self._question.split()
        return " ".join(words[: self._random.randint(4, 8)]) or "hello"

    def _arithmetic(self) -> str:
        return self._random.choice(find_arithmetic(self._question) or ["6*7"])


def find_arithmetic(text: str) -> list[str]:
    """The sums written in a text, such as `12 * (3 + 4)`."""
    return [found for part in _ARITHMETIC.findall(text) if _is_arithmetic(found := part.strip(" ."))]


def _is_arithmetic(text: str) -> bool:
    try:
        compile(text, "<expression>", "eval")
    except SyntaxError:
        return False
    return True


def _given(schema: Schema) -> list[Any]:
    """Values that the schema itself names, the best first choice alone."""
    for name in ("const", "default"):
        if name in schema:
            return [schema[name]]
    return list(schema.get("enum") or schema.get("examples") or [])


def _bounds(schema: Schema) -> tuple[float, float]:
    """Least and greatest number allowed, at most ten apart where the schema leaves it open."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = 0 if high is None else min(0, high - 10)
    if high is None:
        high = low + 10
    if low == schema.get("exclusiveMinimum"):
        low = low + 1 if low + 1 < high else (low + high) / 2
    if high == schema.get("exclusiveMaximum"):
        high = high - 1 if high - 1 >= low else (low + high) / 2
    return low, high


def _type(schema: Schema) -> str | None:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((name for name in kind if name != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return kind


def _resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a reference and take the first branch that is not null."""
    for _ in range(_MAX_DEPTH):
        if "$ref" in schema:
            schema = root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
        elif branches := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            chosen: Schema = next((branch for branch in branches if branch.get("type") != "null"), {})
            schema = {**{key: value for key, value in schema.items() if not key.endswith("Of")}, **chosen}
        else:
            break
    return schema
