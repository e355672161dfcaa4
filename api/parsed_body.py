"""From a body that is JSON to the model that it must fit, or to a problem that names every mistake."""

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.problems import FieldError, invalid

MOST_ERRORS = 100
"""Mistakes in one body that are named. A body of nothing but mistakes would keep the process busy for seconds."""

Body = TypeVar("Body", bound=BaseModel)


def parsed(model: type[Body], value: Any) -> Body:
    """The model of a parsed body. Raises Problem that names every wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        if error.error_count() > MOST_ERRORS:
            detail = f"has {error.error_count()} mistakes, too many to name"
            raise invalid(FieldError(pointer="#", detail=detail)) from error
        found = error.errors(include_url=False, include_input=False, include_context=False)
        seen = {(_pointer(one["loc"]), _sentence(one["msg"])): None for one in found}
        raise invalid(*(FieldError(pointer=pointer, detail=detail) for pointer, detail in seen)) from error


_UNION_MEMBER = re.compile(r"(constrained-)?(str|list)(\[.*\])?$")
_UNIONS = {"input", "content"}


def _pointer(location: tuple[int | str, ...]) -> str:
    """pydantic's location as an RFC 6901 pointer, without the names it gives to members of a union and to keys."""
    if location[:1] == ("metadata",):
        parts = [str(part) for part in location[:2]]
    else:
        parts = [
            str(part)
            for before, part in zip(("", *location), location, strict=False)
            if not (before in _UNIONS and _UNION_MEMBER.match(str(part)))
        ]
    return "/".join(["#", *(part.replace("~", "~0").replace("/", "~1") for part in parts)])


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[0].lower() + text[1:]
