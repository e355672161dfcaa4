"""From a body that is JSON to the model that it must fit, or to a problem that names every mistake."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.problems import FieldError, invalid
from shared.mistakes import nearest

MOST_ERRORS = 100
"""Mistakes in one body that are named. A body of nothing but mistakes would keep the process busy for seconds."""
_LONGEST_SLIP = 64
"""Of a name for which the one that was meant is looked for."""

Body = TypeVar("Body", bound=BaseModel)
Location = tuple[int | str, ...]


def parsed(model: type[Body], value: Any) -> Body:
    """The model of a parsed body. Raises Problem that names every wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        if error.error_count() > MOST_ERRORS:
            detail = f"has {error.error_count()} mistakes, too many to name"
            raise invalid(FieldError(pointer="#", detail=detail)) from error
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise invalid(*_told(found, list(model.model_fields))) from error


def _told(found: Sequence[ErrorDetails], fields: list[str]) -> Iterator[FieldError]:
    """Each mistake once. A value that is of none of the types of a union is one mistake: not to be any of them."""
    sentences: dict[str, list[str]] = {}
    for one in _meant(found):
        told = sentences.setdefault(_pointer(one["loc"]), [])
        said = sentence(one, fields if len(one["loc"]) == 1 else [])
        if said not in told:
            told.append(said if not told else said.removeprefix("input should be "))
    for pointer, told in sentences.items():
        yield FieldError(pointer=pointer, detail=" or ".join(told))


def sentence(one: ErrorDetails, names: list[str]) -> str:
    """What is wrong, in words that say what is taken instead; `names` are the fields that there are in its place."""
    match one["type"]:
        case "extra_forbidden":
            name = str(one["loc"][-1])
            return "there is no such field" + (nearest(name, names) if len(name) <= _LONGEST_SLIP else "")
        case "model_type" | "model_attributes_type" | "dict_type":
            return "input should be an object"
        case _:
            text = one["msg"].removeprefix("Value error, ")
            return text[0].lower() + re.sub(r" after validation, not \d+$", "", text[1:])


_UNION_MEMBER = re.compile(r"(constrained-)?(str|list)(\[.*\])?$")
_UNIONS = {"input", "content"}


def _meant(found: Iterable[ErrorDetails]) -> list[ErrorDetails]:
    """Of a union all mistakes of the member whose type the value is of, if there is one, and none of the others."""
    known = {place for one in found for place in _unions(one["loc"]) if not _is_of_another_type(one, place)}
    return [one for one in found if not any(_is_of_another_type(one, at) and at in known for at in _unions(one["loc"]))]


def _unions(location: Location) -> list[Location]:
    """Where on the way to a location there was a choice, each as the location of that."""
    return [
        location[:place]
        for place in range(1, len(location))
        if location[place - 1] in _UNIONS and _UNION_MEMBER.match(str(location[place]))
    ]


def _is_of_another_type(one: ErrorDetails, union: Location) -> bool:
    return len(one["loc"]) == len(union) + 1 and one["type"].endswith("_type")


def _pointer(location: Location) -> str:
    """pydantic's location as an RFC 6901 pointer, without the names it gives to members of a union and to keys."""
    if location[:1] == ("metadata",):
        parts = [str(part) for part in location[:2]]
    else:
        members = {len(union) for union in _unions(location)}
        parts = [str(part) for place, part in enumerate(location) if place not in members]
    return "/".join(["#", *(part.replace("~", "~0").replace("/", "~1") for part in parts)])
